/**
 * Goal: for everything that the spec of our kinds can get wrong there is a manifest that gets it wrong, whose refusal is known.
 * Method: every keyword and every rule of the definitions is looked for among the refusals that the manifests expect. That a
 * real API server says just that is tested elsewhere, with the same files.
 */
import { expect, test } from '@jest/globals';
import { customResourceDefinitions } from '../../src/api/custom-resources/definitions.ts';
import type { StructuralSchema } from '../../src/api/custom-resources/structural-schema.ts';
import { invalidManifests } from '../kube/contract/cases/manifests.ts';

const refusals = invalidManifests.flatMap(({ expected }) => expected);

/** How the refusal of each keyword is recognised. Fields of the same name mean the same in both kinds. */
const KEYWORDS: Readonly<Record<string, string>> = {
  type: 'in body must be of type',
  enum: 'Unsupported value',
  minimum: 'should be greater than or equal to',
  maximum: 'should be less than or equal to',
  minLength: 'should be at least',
  maxLength: 'Too long',
};

function wantedOf(schema: StructuralSchema, field: string): readonly (readonly [field: string, text: string])[] {
  const keywords = Object.entries(KEYWORDS).filter(([keyword]) => keyword in schema);
  return [
    ...keywords.map(([, text]) => [field, text] as const),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => wantedOf(child, `${field}.${name}`)),
  ];
}

const wanted = customResourceDefinitions().flatMap(({ spec: { versions } }) => {
  const root = versions[0].schema.openAPIV3Schema;
  const { spec, metadata } = root.properties ?? {};
  const name = metadata?.properties?.['name'];
  return [
    ...wantedOf(spec as StructuralSchema, 'spec'),
    // A name of the wrong type and an empty one never come as far as the definition.
    ...wantedOf(name as StructuralSchema, 'metadata.name').filter(([, text]) => text === KEYWORDS['maxLength']),
  ];
});

test('there is something to look for', () => {
  expect(wanted.length).toBeGreaterThan(50);
});

test.each([...new Set(wanted.map(([field, text]) => `${field}|${text}`))])('%s', (each) => {
  const [field = '', text = ''] = each.split('|');
  expect(refusals.filter((line) => line.startsWith(`${field}: `) && line.includes(text))).not.toEqual([]);
});

test('each rule over a whole spec or object is broken by one', () => {
  const messages = customResourceDefinitions().flatMap(({ spec: { versions } }) => {
    const root = versions[0].schema.openAPIV3Schema;
    return [root, root.properties?.['spec']].flatMap((schema) => schema?.['x-kubernetes-validations'] ?? []);
  });
  // Rules over what was there before need an object that is there, and no manifest is.
  const ofOneObject = messages.filter(({ rule }) => !rule.includes('oldSelf'));
  const unbroken = ofOneObject.filter(({ message, messageExpression }) => {
    const [, literal = ''] = /^'(.*?)'/.exec(messageExpression) ?? [];
    const withValues = new RegExp(literal.split('(%s)').map(escaped).join(String.raw`\(.*\)`));
    // A rule that cannot be evaluated is told without values.
    return !refusals.some((line) => withValues.test(line) || line.endsWith(message));
  });
  expect(ofOneObject.length).toBeGreaterThan(5);
  expect(unbroken.map(({ message }) => message)).toEqual([]);
});

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
