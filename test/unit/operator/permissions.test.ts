/** Goal: the manifest grants what the operator asks for, no more and no less, and what is missing is written as rules to add. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import {
  accessRequestsOf,
  DEV_RULES,
  OPERATOR_RULES,
  type PermissionRule,
  rulesFor,
} from '../../../src/operator/permissions.ts';
import { ROOT } from '../../support/node-process.ts';

interface Manifest {
  readonly kind: string;
  readonly rules?: readonly PermissionRule[];
}

const manifests = parseAllDocuments(readFileSync(join(ROOT, 'deploy/rbac.yaml'), 'utf8')).map(
  (document) => document.toJS() as Manifest,
);

describe('deploy/rbac.yaml', () => {
  it('grants exactly the rules that the operator has', () => {
    const role = manifests.find(({ kind }) => kind === 'ClusterRole');
    expect(role?.rules).toEqual(OPERATOR_RULES);
  });

  it('has all that a ServiceAccount needs', () => {
    expect(manifests.map(({ kind }) => kind)).toEqual([
      'Namespace',
      'ServiceAccount',
      'ClusterRole',
      'ClusterRoleBinding',
    ]);
  });
});

describe('what is missing', () => {
  it.each([
    ['the operator', OPERATOR_RULES],
    ['npm start', DEV_RULES],
  ])('is written as rules that give it back: everything of %s', (_who, rules) => {
    const written = parse(rulesFor(accessRequestsOf(rules))) as PermissionRule[];
    const sorted = (each: readonly PermissionRule[]) =>
      accessRequestsOf(each)
        .map((one) => JSON.stringify(one))
        .sort();
    expect(sorted(written)).toEqual(sorted(rules));
  });

  it('is one rule for each resource, in the form of a ClusterRole', () => {
    const missing = [
      { verb: 'get', group: '', resource: 'events' },
      { verb: 'patch', group: 'lockkeeper.dev', resource: 'lockpools', subresource: 'status' },
      { verb: 'patch', group: '', resource: 'events' },
    ];
    expect(rulesFor(missing)).toBe(
      '- apiGroups: [""]\n  resources: ["events"]\n  verbs: ["get", "patch"]\n' +
        '- apiGroups: ["lockkeeper.dev"]\n  resources: ["lockpools/status"]\n  verbs: ["patch"]',
    );
  });
});
