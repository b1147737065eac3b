import {
  type LockPolicy,
  distributedLockSpecSchema,
  lockPoolSpecSchema,
  policyOfLock,
  policyOfPool,
} from '../../../src/api/policies.ts';
import { DEADLOCK_POLICIES, EXPIRY_POLICIES, FAIRNESS } from '../../../src/api/vocabulary.ts';
import type { Line } from '../language/line.ts';
import { keyOf } from '../language/names.ts';
import type { World } from '../language/world.ts';
import type { Handlers } from './handler.ts';

const RESOURCES = ['lock', 'pool'] as const;

/** Custom resources: `lock` and `pool` make or edit one, by the defaults of its schema; `delete` removes it. */
export const ruleHandlers: Handlers = {
  lock(world, line) {
    const name = line.word('name of the lock');
    const policy = policyOfLock(distributedLockSpecSchema.parse(sharedSpec(line)));
    return configure(world, line, 'lock', name, policy);
  },

  pool(world, line) {
    const name = line.word('name of the pool');
    const maxLeaseDurationSeconds = seconds(line, 'maxTtl');
    const policy = policyOfPool(
      lockPoolSpecSchema.parse({ ...sharedSpec(line), ...given({ maxLeaseDurationSeconds }) }),
    );
    return configure(world, line, 'pool', name, policy);
  },

  delete(world, line) {
    const word = line.word('lock or pool');
    const resource = RESOURCES.find((each) => each === word) ?? line.fail('delete takes `lock NAME` or `pool NAME`');
    return configure(world, line, resource, line.word('name'), undefined);
  },
};

function configure(
  world: World,
  line: Line,
  resource: 'lock' | 'pool',
  name: string,
  policy: LockPolicy | undefined,
): string[] {
  const counterFloor = line.integer('floor') ?? 1;
  line.end();
  return world.apply({ kind: 'configure', resource, name: keyOf(name), policy, counterFloor }, true);
}

function sharedSpec(line: Line): object {
  return given({
    leaseDurationSeconds: seconds(line, 'ttl'),
    permits: line.integer('permits'),
    reentrant: line.choice('reentrant', ['yes', 'no']) === 'no' ? false : undefined,
    fairness: line.choice('fairness', FAIRNESS),
    maxHoldSeconds: seconds(line, 'maxHold'),
    lockDelaySeconds: seconds(line, 'lockDelay'),
    maxWaiters: line.integer('maxWaiters'),
    expiryPolicy: line.choice('expiry', EXPIRY_POLICIES),
    deadlockPolicy: line.choice('deadlock', DEADLOCK_POLICIES),
  });
}

function seconds(line: Line, name: string): number | undefined {
  const durationMs = line.durationMs(name);
  return durationMs === undefined ? undefined : durationMs / 1_000;
}

function given(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
