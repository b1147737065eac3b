/**
 * Goal: `npm run operator` works on a real API server with exactly the rights of deploy/rbac.yaml, stands by for another one and
 * follows it without a needless wait, and says what is missing when it cannot work. Method: real processes; the audit log is the
 * witness of what was asked.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { accessRequestsOf, OPERATOR_RULES } from '../../src/operator/permissions.ts';
import { DevProcess } from '../support/dev-process.ts';
import { OperatorProcess } from '../support/operator-process.ts';
import type { AuditEntry } from './control-plane/audit-log.ts';
import { writeKubeconfig } from './control-plane/kubeconfig.ts';
import { kubeconfigForServiceAccount } from './control-plane/users.ts';
import { waitFor } from '../support/wait.ts';
import { describeOnOwnControlPlane } from './own-control-plane.ts';
import { freshNamespace, type Namespace, sharedControlPlane } from './support.ts';

const controlPlane = sharedControlPlane();

beforeAll(async () => {
  await controlPlane.applyCustomResourceDefinitions();
});

async function expectSuccess(namespace: Namespace, words: readonly string[], input?: string): Promise<string> {
  const answer = await namespace.kubectl(words, input);
  expect([words, answer.exitCode, answer.error]).toEqual([words, 0, '']);
  return answer.out;
}

const eventCount = async (namespace: Namespace, reason: string): Promise<number> => {
  const words = ['get', 'events', '--field-selector', `reason=${reason}`, '-o', 'jsonpath={.items[*].count}'];
  const counts = (await expectSuccess(namespace, words)).split(' ').filter(Boolean);
  return counts.reduce((sum, count) => sum + Number(count), 0);
};

describeOnOwnControlPlane('with the rights of deploy/rbac.yaml', () => {
  /** Asked for only once an hour, about Leases whose lock is gone. */
  const rare = ['get lockkeeper.dev/distributedlocks'];

  test('it does all its work, is never refused, and uses every one of them', async () => {
    const namespace = await freshNamespace();
    expect((await controlPlane.kubectl(['apply', '-f', 'deploy/rbac.yaml'])).exitCode).toBe(0);
    // Something to take over: a lock that is held, and the member that held it.
    const pair = await DevProcess.start(['--kubeconfig', controlPlane.kubeconfigPath]);
    const body = { ownerId: 'alice', ttlMs: 600_000, namespace: namespace.name };
    expect((await pair.post('/v1/locks/held:acquire', body)).status).toBe(200);
    expect(await pair.stop()).toBe(0);

    const words = ['create', 'token', 'lockkeeper-operator', '--duration', '1h', '--namespace', 'lockkeeper-system'];
    const token = (await controlPlane.kubectl(words)).out.trim();
    const { server, authority } = controlPlane.http.access;
    const kubeconfig = join(controlPlane.directory, 'kubeconfig-operator');
    writeKubeconfig(kubeconfig, { server, authority, token });
    await using operator = await OperatorProcess.start(['--kubeconfig', kubeconfig, '--pod-name', 'operator-0']);
    await operator.ready();

    await expectSuccess(namespace, ['apply', '-f', 'examples/lock-pool.yaml']);
    await expectSuccess(namespace, ['wait', '--for=condition=Ready', 'lockpool/orders', '--timeout=30s']);
    await expectSuccess(namespace, ['annotate', 'lock', 'held', 'lockkeeper.dev/force-release=its pod hangs']);
    await expectSuccess(namespace, ['wait', '--for=condition=Held=false', 'lock/held', '--timeout=30s']);
    // Twice the same: one Event, whose count is raised.
    for (const count of [2, 3]) {
      await expectSuccess(namespace, ['annotate', 'lock', 'held', 'lockkeeper.dev/force-release=again']);
      const isTold = async () => (await eventCount(namespace, 'ForceReleased')) === count;
      await waitFor(isTold, { what: `forced release number ${count} among the Events` });
    }
    expect((await operator.get('/metrics')).text).toContain('lockkeeper_owned_shards 32');
    expect(await operator.stop()).toBe(0);

    await controlPlane.auditLog.settled({ userAgent: /^lockkeeper-operator\// });
    const asked = controlPlane.auditLog
      .entries()
      .filter(({ user }) => user.username === 'system:serviceaccount:lockkeeper-system:lockkeeper-operator');
    const inWords = (verb: string, group = '', resource = '', subresource?: string) =>
      `${verb} ${group}/${resource}${subresource === undefined ? '' : `/${subresource}`}`;
    const used = new Set(
      asked.map(({ verb, objectRef }) =>
        inWords(verb, objectRef?.apiGroup, objectRef?.resource, objectRef?.subresource),
      ),
    );
    expect(asked.filter(({ responseStatus }) => responseStatus?.code === 403)).toEqual([]);
    const granted = accessRequestsOf(OPERATOR_RULES).map(({ verb, group, resource, subresource }) =>
      inWords(verb, group, resource, subresource),
    );
    expect(granted.filter((each) => !used.has(each))).toEqual(rare);
  }, 240_000);
});

describeOnOwnControlPlane('a second operator', () => {
  test('stands by, says so, and follows within the silence of a killed one, at once after one that stops', async () => {
    // Nobody has made this namespace: the first operator does.
    const namespace = `${(await freshNamespace()).name}-operators`;
    const start = (name: string) =>
      OperatorProcess.start([
        ...['--kubeconfig', controlPlane.kubeconfigPath, '--namespace', namespace, '--pod-name', name],
      ]);
    const standingBy = (operator: OperatorProcess) => {
      const reason = async () => {
        const { status, text } = await operator.get('/readyz');
        return status === 503 && text.startsWith('this process stands by') && text;
      };
      return waitFor(reason, { what: 'operator that stands by' });
    };
    await using first = await start('operator-a');
    await first.ready();
    await using second = await start('operator-b');
    expect(await standingBy(second)).toMatch(/^this process stands by: operator-a-[-0-9a-f]+ owns the shards/);
    expect((await second.get('/healthz')).status).toBe(200);

    await first.kill();
    await second.ready();
    // By the audit log, since what taking over costs after that depends on how busy the machine is.
    expect(await silenceBefore('operator-b')).toBeGreaterThan(5_700);
    expect(await silenceBefore('operator-b')).toBeLessThan(7_500);

    await using third = await start('operator-c');
    await standingBy(third);
    expect(await second.stop()).toBe(0);
    await third.ready();
    expect(await silenceBefore('operator-c')).toBeLessThan(1_500);
    expect(await third.stop('SIGINT')).toBe(0);

    /** Time between the last write of the earlier owner to its member Lease and the first shard that `successor` took, in ms. */
    async function silenceBefore(successor: string): Promise<number> {
      await controlPlane.auditLog.settled({ resource: 'leases', namespace });
      const writes = controlPlane.auditLog.writes({ resource: 'leases', namespace });
      const holderOf = ({ requestObject }: AuditEntry): string => requestObject?.spec?.holderIdentity ?? '';
      const taken = writes.find(
        (write) => write.objectRef?.name === 'lockkeeper-shard-0' && holderOf(write).startsWith(successor),
      );
      const earlier = successor === 'operator-b' ? 'operator-a' : 'operator-b';
      const takenAtMs = Date.parse(taken?.stageTimestamp ?? '');
      const last = writes.findLast(
        ({ objectRef, userAgent, requestObject, requestReceivedTimestamp }) =>
          objectRef?.name?.startsWith(`lockkeeper-member-${earlier}`) === true &&
          userAgent?.startsWith('lockkeeper-operator/') === true &&
          // Not the write that fences it.
          (holderOf({ requestObject } as AuditEntry) !== '' || earlier === 'operator-b') &&
          Date.parse(requestReceivedTimestamp) < takenAtMs,
      );
      return takenAtMs - Date.parse(last?.requestReceivedTimestamp ?? '');
    }
  }, 240_000);
});

describe('an operator that cannot work', () => {
  test('without rights names every one that is missing, as rules to add', async () => {
    const { name: namespace } = await freshNamespace();
    const account = { namespace, name: 'nobody' };
    const kubeconfig = await kubeconfigForServiceAccount(controlPlane, controlPlane.directory, account);
    const { exitCode, output } = await OperatorProcess.run(['--kubeconfig', kubeconfig, '--port', '0']);
    expect(exitCode).toBe(1);
    expect(output).toContain('Lockkeeper did not start (PERMISSION_DENIED): ');
    expect(output).toContain('kubectl apply -f deploy/rbac.yaml');
    expect(output).toContain(
      '- apiGroups: ["coordination.k8s.io"]\n  resources: ["leases"]\n  verbs: ["get", "list", "watch", "create", "update", "delete"]',
    );
    expect(output).toContain('resourceNames: ["lockpools.lockkeeper.dev"]');
  });

  test('names the namespace that is missing and that it may not make', async () => {
    const { name: namespace } = await freshNamespace();
    const account = { namespace, name: 'operator', clusterRules: OPERATOR_RULES };
    const kubeconfig = await kubeconfigForServiceAccount(controlPlane, controlPlane.directory, account);
    const options = ['--kubeconfig', kubeconfig, '--port', '0', '--namespace', 'nobody-made-this'];
    const { exitCode, output } = await OperatorProcess.run(options);
    expect(exitCode).toBe(1);
    expect(output).toContain('Run kubectl create namespace nobody-made-this, or name another one with --namespace.');
  });
});
