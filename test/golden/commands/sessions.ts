import type { CloseSessionCommand } from '../../../src/engine/commands.ts';
import type { ScriptSession, World } from '../language/world.ts';
import type { Line } from '../language/line.ts';
import type { Handlers } from './handler.ts';
import { operationHandlers } from './operations.ts';

const REASONS: readonly CloseSessionCommand['reason'][] = ['goodbye', 'lost', 'orphaned'];

/**
 * Connections of sessions. `session` is the first one to this owner; `reconnect` supersedes the one before; `close` ends it.
 * Sessions are named s1, s2 and so on; each has the slot of its number unless it says otherwise.
 */
export const sessionHandlers: Handlers = {
  session(world, line) {
    const name = line.word('name of the session');
    const id = Number(/^s([1-9]\d*)$/.exec(name)?.[1] ?? line.fail('sessions are named s1, s2, ...'));
    const principal = line.pair('principal');
    const slot = line.integer('slot') ?? id;
    const inProcess = line.says('inProcess');
    line.end();
    const known = world.sessions.get(name);
    if (known !== undefined) known.connection++;
    const session =
      known ??
      added(world, {
        name,
        id,
        principal: principal ?? line.fail('principal is missing'),
        slot,
        inProcess,
        connection: 1,
        frame: 0,
        ref: 0,
      });
    return opened(world, session);
  },

  reconnect(world, line) {
    const session = world.session(line.word('session'), line);
    line.end();
    session.connection++;
    return opened(world, session);
  },

  close(world, line) {
    const session = world.session(line.word('session'), line);
    const word = line.word('reason');
    const reason = REASONS.find((each) => each === word) ?? line.fail(`a reason is one of ${REASONS.join(', ')}`);
    const connection = line.integer('connection') ?? session.connection;
    line.end();
    return world.apply({ kind: 'closeSession', sessionId: session.id, connection, reason });
  },

  /** A force release by an administrator, over a session of its own. */
  force(world, line) {
    const admin = world.sessions.get('admin') ?? openedAdmin(world);
    return operationHandlers['force']!(world, line, admin);
  },
};

/** `s1 acquire ...`: an operation of a session, in a frame of its own. */
export function operate(world: World, line: Line, name: string): string[] {
  const session = world.session(name, line);
  const verb = line.word('operation');
  const handler = operationHandlers[verb] ?? line.fail(`a session has no operation ${verb}`);
  return handler(world, line, session);
}

function added(world: World, session: ScriptSession): ScriptSession {
  world.sessions.set(session.name, session);
  return session;
}

function opened(world: World, session: ScriptSession): string[] {
  const { id, connection, principal, slot, inProcess } = session;
  return world.apply({ kind: 'openSession', sessionId: id, connection, principal, slot, inProcess }, true);
}

function openedAdmin(world: World): ScriptSession {
  const identity = { name: 'admin', id: 1_000_000, principal: 'admin', slot: 1_000, inProcess: true };
  const admin = added(world, { ...identity, connection: 1, frame: 0, ref: 0 });
  opened(world, admin);
  return admin;
}
