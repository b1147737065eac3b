/** Nothing is told before it is on record: judged at the moment a reply leaves the owner, against what is really stored. */
import { lockKindOf } from '../../../src/api/lock-id.ts';
import type { HoldReply } from '../../../src/api/operations.ts';
import type { LeaseWorld } from '../lease-world.ts';
import { Violation } from '../violation.ts';

/** Time passes between the decision and the reply; a promise is compared with this much room. */
const ROUNDING_MS = 1;

export class RecordChecker {
  readonly #leases: LeaseWorld;
  readonly #shardOf: (key: string) => number;

  constructor(leases: LeaseWorld, shardOf: (key: string) => number) {
    this.#leases = leases;
    this.#shardOf = shardOf;
  }

  /** `slot`: of the session that is told of a new hold; `undefined` for a hold that is known already, or ended. */
  leaves(reply: HoldReply, slot: number | undefined): void {
    if (lockKindOf(reply.key) === 'lock') this.#durable(reply);
    else this.#memory(reply, slot);
  }

  #durable({ key, token, remainingMs }: HoldReply): void {
    if (!this.#leases.landedTokens.has(`${key}#${token}`))
      throw new Violation('grant-before-record', `${key} #${token} was told and never stood on its Lease`, [
        key,
        'owner',
      ]);
    if (this.#leases.isDisturbed(key, this.#shardOf(key))) return;
    const recorded = this.#leases.lockRecord(key)?.holders.find((holder) => holder.token === token);
    // A hold that was ended meanwhile is not on record any more; its reply comes too late, and promises nothing new.
    if (recorded === undefined || remainingMs <= recorded.ttlMs + ROUNDING_MS) return;
    throw new Violation(
      'promise-before-record',
      `${key} #${token} was promised ${remainingMs} ms, recorded are ${recorded.ttlMs}`,
      [key, 'owner'],
    );
  }

  #memory({ key, token, remainingMs }: HoldReply, slot: number | undefined): void {
    const shard = this.#shardOf(key);
    if (this.#leases.isDisturbed(key, shard)) return;
    const record = this.#leases.shardRecord(shard);
    const fail = (rule: 'grant-before-record' | 'promise-before-record', text: string): never => {
      throw new Violation(rule, `${key} #${token} was told: ${text}`, [key, 'owner']);
    };
    if (record === undefined) return fail('grant-before-record', 'its shard has no record');
    if (token > record.counter) return fail('grant-before-record', `only tokens up to ${record.counter} are reserved`);
    if (remainingMs > record.graceMs + ROUNDING_MS)
      return fail('promise-before-record', `promised ${remainingMs} ms, the recorded grace is ${record.graceMs}`);
    if (slot === undefined) return;
    if (slot >= 0 ? !record.slots.includes(slot) && !record.slotsOverflow : !record.slotsOverflow)
      return fail('grant-before-record', `slot ${slot} is not on record`);
  }
}
