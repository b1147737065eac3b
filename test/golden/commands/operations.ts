import type { Operation } from '../../../src/api/operations.ts';
import { MODES } from '../../../src/api/vocabulary.ts';
import { readDurationMs } from '../language/durations.ts';
import type { Line } from '../language/line.ts';
import { keyOf } from '../language/names.ts';
import type { ScriptSession, World } from '../language/world.ts';

type OperationHandler = (world: World, line: Line, session: ScriptSession) => string[];

/** What a session may send. Every operation travels in the next frame; its reply is printed under the operation's own number. */
export const operationHandlers: Readonly<Record<string, OperationHandler>> = {
  acquire(world, line, session) {
    const operation: Operation = {
      op: 'acquire',
      ref: ++session.ref,
      key: keyOf(line.word('lock')),
      ownerId: ownerId(line) ?? line.fail('`as OWNER` is missing'),
      mode: line.choice('mode', MODES) ?? 'exclusive',
      ttlMs: line.durationMs('ttl'),
      timeoutMs: timeoutMs(line),
      priority: line.integer('priority'),
      maxHoldMs: line.durationMs('maxHold'),
      metadata: metadata(line),
      requestId: line.pair('request'),
    };
    return send(world, line, session, operation);
  },

  renew(world, line, session) {
    const operation: Operation = {
      op: 'renew',
      ref: ++session.ref,
      key: keyOf(line.word('lock')),
      token: token(line),
      ownerId: ownerId(line),
      ttlMs: line.durationMs('ttl'),
    };
    return send(world, line, session, operation);
  },

  release(world, line, session) {
    const operation: Operation = {
      op: 'release',
      ref: ++session.ref,
      key: keyOf(line.word('lock')),
      token: token(line),
      ownerId: ownerId(line),
      leaveDepth: line.integer('leave'),
      disowned: line.says('disowned') ? true : undefined,
    };
    return send(world, line, session, operation);
  },

  force(world, line, session) {
    const operation: Operation = {
      op: 'forceRelease',
      ref: ++session.ref,
      key: keyOf(line.word('lock')),
      reason: line.pair('reason') ?? line.fail('reason is missing'),
      by: line.pair('by') ?? 'ops',
    };
    return send(world, line, session, operation);
  },

  cancel(world, line, session) {
    const key = keyOf(line.word('lock'));
    const target = Number(/^#(\d+)$/.exec(line.word('#number of the acquire'))?.[1] ?? line.fail('name it like #3'));
    return send(world, line, session, { op: 'cancel', ref: ++session.ref, key, target });
  },

  inspect(world, line, session) {
    return send(world, line, session, { op: 'inspect', ref: ++session.ref, key: keyOf(line.word('lock')) });
  },

  reclaim(world, line, session) {
    const operation: Operation = {
      op: 'reclaim',
      ref: ++session.ref,
      key: keyOf(line.word('lock')),
      token: token(line),
      ownerId: ownerId(line) ?? line.fail('`as OWNER` is missing'),
      mode: line.choice('mode', MODES) ?? 'exclusive',
      depth: line.integer('depth') ?? 1,
      ttlMs: line.durationMs('ttl') ?? 15_000,
      metadata: metadata(line),
    };
    return send(world, line, session, operation);
  },

  /** All holds of the session are declared. */
  complete(world, line, session) {
    line.end();
    return world.apply({ kind: 'reclaimComplete', sessionId: session.id, connection: session.connection });
  },

  /** A heartbeat. */
  heard(world, line, session) {
    const connection = line.integer('connection') ?? session.connection;
    line.end();
    return world.apply({ kind: 'heard', sessionId: session.id, connection, frame: ++session.frame });
  },
};

function send(world: World, line: Line, session: ScriptSession, operation: Operation): string[] {
  const connection = line.integer('connection') ?? session.connection;
  const frame = line.integer('frame') ?? ++session.frame;
  line.end();
  return world.apply({ kind: 'operation', sessionId: session.id, connection, frame, operation });
}

function ownerId(line: Line): string | undefined {
  return line.says('as') ? line.word('owner') : undefined;
}

function token(line: Line): number {
  return line.integer('token') ?? line.fail('token is missing');
}

/** No `wait`: a try-lock. `wait=forever`: until granted. */
function timeoutMs(line: Line): number {
  const wait = line.pair('wait');
  if (wait === undefined) return 0;
  return wait === 'forever' ? -1 : (readDurationMs(wait) ?? line.fail('wait must be a duration or forever'));
}

/** `metadata=job:nightly,host:a`. */
function metadata(line: Line): Readonly<Record<string, string>> | undefined {
  const text = line.pair('metadata');
  return text === undefined ? undefined : Object.fromEntries(text.split(',').map((entry) => entry.split(':', 2)));
}
