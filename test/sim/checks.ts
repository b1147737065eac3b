/** All checkers behind one door: what happens in the world is told here, and a broken rule ends the run. */
import { lockKindOf } from '../../src/api/lock-id.ts';
import type { LostPush, Operation, Reply } from '../../src/api/operations.ts';
import type { AuditEvent } from '../../src/engine/effects.ts';
import type { Lease, StoredLease } from '../../src/kube/lease.ts';
import { decodeLockLease, decodeShardLease } from '../../src/server/lease-codec.ts';
import type { Belief } from './belief.ts';
import { ExclusionChecker } from './checkers/exclusion.ts';
import { FairnessChecker } from './checkers/fairness.ts';
import { GrantBook } from './checkers/grant-book.ts';
import { LedgerChecker } from './checkers/ledger.ts';
import { RecordChecker } from './checkers/records.ts';
import { TokenChecker, type ToldHold } from './checkers/tokens.ts';
import type { LinkEnd } from './link.ts';
import type { Owner } from './owner.ts';
import type { Simulation } from './simulation.ts';
import { Violation } from './violation.ts';

/** Life of a member Lease, and a second for what is on its way. */
const RESTORE_NOTICED_WITHIN_MS = 7_000;

interface Reign {
  readonly ownerNumber: number;
  readonly epoch: number;
}

export class Checks {
  readonly book = new GrantBook();
  readonly ledger: LedgerChecker;
  readonly #simulation: Simulation;
  readonly #exclusion: ExclusionChecker;
  readonly #tokens: TokenChecker;
  readonly #records: RecordChecker;
  readonly #fairness: FairnessChecker;
  /** Keys that an administrator ever asked to free: such an end can be on record before anybody is told. */
  readonly #forced = new Set<string>();
  /** Who owns each shard by the store. */
  readonly #reigns = new Map<number, Reign>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    const { coverage } = simulation;
    this.ledger = new LedgerChecker(this.book, (id) => simulation.leases.landedTokens.has(id));
    this.#exclusion = new ExclusionChecker(this.book, (mode) =>
      coverage.hit(mode === 'shared' ? 'sharedTogether' : 'permitsTogether'),
    );
    this.#tokens = new TokenChecker(this.book);
    this.#records = new RecordChecker(simulation.leases, (key) => simulation.shardOf(key));
    this.#fairness = new FairnessChecker({
      policyOf: (key) => simulation.policies.settled(key, simulation.world.nowMs),
      priorityOf: (ownerId) => simulation.priorityOf(ownerId),
      wasHeardSince: (ownerId, ownerMs) => simulation.wasHeardSince(ownerId, ownerMs),
    });
  }

  /** An owner sent a write, whatever becomes of it. */
  leaseAttempted(lease: Lease): void {
    if (!lease.metadata.name.startsWith('lock-')) return;
    const stored = { resourceVersion: '1', uid: '', creationTimestamp: '' };
    const decoded = decodeLockLease({ ...lease, metadata: { ...lease.metadata, ...stored } });
    if (decoded.kind === 'lock') this.#guard(() => this.#tokens.attempted(decoded.record));
  }

  leaseLanded(lease: StoredLease, owner: Owner): void {
    const { leases, coverage, history } = this.#simulation;
    const { name } = lease.metadata;
    const wasDisturbed = leases.disturbed.delete(name);
    const before = leases.lockRecords.get(name);
    leases.noteLanded(lease);
    const lock = decodeLockLease(lease);
    if (lock.kind === 'lock') {
      history.note(owner.name, `wrote ${name} ${lock.record.counter} ${lock.record.attempt}`);
      const { key, attempt, holders } = lock.record;
      if (this.#forced.has(key)) {
        for (const { token } of before?.holders ?? []) {
          const grant = this.book.find(key, token);
          if (grant !== undefined && !holders.some((holder) => holder.token === token)) grant.isVoid = true;
        }
      }
      const shard = this.#simulation.shardOf(key);
      if (!attempt.includes(`.${this.#reigns.get(shard)?.epoch}.`)) {
        this.ledger.recordedAgain(
          shard,
          holders.map(({ token }) => `${key}#${token}`),
        );
      }
      this.#guard(() => this.#tokens.landed(lock.record, wasDisturbed));
      return;
    }
    const shard = decodeShardLease(lease);
    if (shard.kind !== 'shard') return;
    const { record } = shard;
    for (const { key, floor } of record.revocations) this.book.voidUpTo(key, floor);
    history.note(
      owner.name,
      `wrote ${name} epoch ${record.epoch} grace ${record.graceMs} slots ${record.slots.length}`,
    );
    const index = Number(name.slice(name.lastIndexOf('-') + 1));
    const reign = this.#reigns.get(index);
    if (reign?.epoch === record.epoch && reign.ownerNumber === owner.number) return;
    if (reign?.ownerNumber === owner.number) coverage.hit('shardRetaken');
    else if (this.#isUnnoticedRestore) this.voidAll();
    this.#reigns.set(index, { ownerNumber: owner.number, epoch: record.epoch });
    this.ledger.reignBegan(index);
    this.#fairness.forget((key) => this.#simulation.shardOf(key) === index);
  }

  audited(owner: Owner, shard: number, event: AuditEvent, ownerMs: number): void {
    this.#guard(() => {
      this.ledger.tally(owner.number, event);
      const isReigning = this.#reigns.get(shard)?.ownerNumber === owner.number;
      this.#note(owner, event);
      if (event.type === 'granted') {
        const { key } = event;
        const grant = {
          event,
          ownerNumber: owner.number,
          atMs: this.#simulation.world.nowMs,
          permits: this.#simulation.policies.permitsOf(key),
          tokenFloor: this.#tokens.floorOf(key),
          toldToClient: false,
          isVoid: !isReigning && this.#isUnnoticedRestore,
          forcedInEpoch: 0,
          wasToldLost: false,
          endedInEpoch: 0,
          isShared: false,
        };
        this.#tokens.granted(grant);
        this.book.add(grant);
      }
      if (event.type === 'ended' && (event.reason === 'forceReleased' || event.reason === 'orphaned')) {
        const grant = this.book.find(event.key, event.token);
        if (grant !== undefined) {
          grant.isVoid = true;
          if (isReigning) grant.forcedInEpoch = this.#reigns.get(shard)?.epoch ?? 0;
        }
      }
      if (!isReigning) return;
      this.#fairness.audited(event, ownerMs);
      if (event.type === 'ended') {
        const grant = this.book.find(event.key, event.token);
        if (grant !== undefined) grant.endedInEpoch = this.#reigns.get(shard)?.epoch ?? 0;
        this.ledger.ended(shard, event);
        if (event.acknowledged) this.#exclusion.ended(event, this.#simulation.world.nowMs);
      }
    });
  }

  /** A reply leaves the owner's process. */
  replyLeaves(owner: Owner, session: LinkEnd, reply: Reply): void {
    if (session.supersededRefs.has(reply.ref) && !(reply.kind === 'error' && reply.code === 'UNAVAILABLE'))
      this.#simulation.fail('superseded-frame', `${session.name} is answered ${reply.kind} (${reply.ref})`, [
        `${session.name} `,
      ]);
    if (reply.kind !== 'hold') return;
    this.#guard(() => {
      const told = this.book.find(reply.key, reply.token);
      const forced =
        told !== undefined && told.forcedInEpoch > 0 && (told.wasToldLost || reply.epoch > told.forcedInEpoch);
      if (forced && this.#simulation.restoredAtMs === -Infinity)
        throw new Violation(
          'forced-end-undone',
          `${reply.key} #${reply.token} was ended by force and is held again (${JSON.stringify(reply)})`,
          [reply.key, 'owner'],
        );
      const shard = this.#simulation.shardOf(reply.key);
      const reign = this.#reigns.get(shard);
      if ((reign?.ownerNumber !== owner.number || reign.epoch !== reply.epoch) && !this.#isUnnoticedRestore) {
        throw new Violation(
          'grant-before-record',
          `${owner.name} acknowledges ${reply.key} #${reply.token} in epoch ${reply.epoch}, and the shard is owned by owner${reign?.ownerNumber} in epoch ${reign?.epoch}`,
          [reply.key, 'owner'],
        );
      }
      // A reply that waited for the authority may speak of a hold that ended meanwhile: its session's slot may have left the
      // record with it, and nothing is left to declare. That nobody still believes in it, the rule of exclusion sees to.
      const hasEnded = told?.endedInEpoch === reply.epoch;
      this.#records.leaves(reply, told?.toldToClient === true || hasEnded ? undefined : session.slot);
    });
  }

  /** The news of a lost hold leaves the owner's process. */
  lossLeaves({ key, token }: LostPush): void {
    const grant = this.book.find(key, token);
    if (grant !== undefined) grant.wasToldLost = true;
  }

  /** A client read a hold; in answer to an acquire, if that moment is given. */
  clientTold(hold: Belief, told: ToldHold, acquireAskedAtMs: number | undefined, wasBelieved: boolean): void {
    this.#guard(() => {
      this.#tokens.told(told, acquireAskedAtMs);
      if (!wasBelieved && hold.isBelieved) this.#exclusion.begins(hold, this.#simulation.world.nowMs);
    });
  }

  /** A client believes again in a hold that it took over from its earlier life. */
  twinSpoke(key: string, token: number): void {
    const grant = this.book.find(key, token);
    if (grant !== undefined) grant.isShared = true;
  }

  sent(operations: readonly Operation[]): void {
    for (const operation of operations) if (operation.op === 'forceRelease') this.#forced.add(operation.key);
    this.ledger.sent(operations);
  }

  released({ key, token }: Pick<Belief, 'key' | 'token'>): void {
    this.#tokens.released(key, token, this.#simulation.world.nowMs);
  }

  /** Records were destroyed from outside: exclusion is not promised for what they named. */
  voidDurable(key?: string): void {
    this.book.void((each) => (key === undefined ? lockKindOf(each) === 'lock' : each === key));
  }

  voidAll(): void {
    this.book.void(() => true);
  }

  /**
   * A restored backup may name an owner that was dead when it was made: another replica then takes over at once from one that
   * is alive, and that finds out when its member Lease falls due at the latest.
   */
  get #isUnnoticedRestore(): boolean {
    return this.#simulation.world.nowMs - this.#simulation.restoredAtMs < RESTORE_NOTICED_WITHIN_MS;
  }

  #note(owner: Owner, event: AuditEvent): void {
    const { history, coverage } = this.#simulation;
    if (event.type === 'ended') {
      if (event.reason === 'expired') coverage.hit('expired');
      else if (event.reason === 'maxHold') coverage.hit('maxHold');
      else if (event.reason === 'forceReleased') coverage.hit('forceReleased');
      history.note(owner.name, `ended ${event.key}#${event.token} ${event.ownerId} ${event.reason}`);
    } else if (event.type === 'overdue') coverage.hit('overdue');
    else if (event.type === 'granted')
      history.note(owner.name, `granted ${event.key}#${event.token} ${event.ownerId} ${event.mode} ${event.ttlMs}`);
    else if (event.type === 'queued' || event.type === 'waiterLeft')
      history.note(owner.name, `${event.type} ${event.key} ${event.ownerId}${'why' in event ? ` ${event.why}` : ''}`);
    else if (event.type === 'reclaimed' || event.type === 'reclaimRefused')
      history.note(owner.name, `${event.type} ${event.key}#${event.token} ${event.ownerId} ${event.why ?? ''}`);
    else if (event.type === 'deadlock' && event.victim !== undefined)
      history.note(owner.name, `breaks ${event.victim}`);
  }

  /** The product catches nothing here: a violation inside one of its callbacks must end the run, not its promise chain. */
  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#simulation.failWith(error);
    }
  }
}
