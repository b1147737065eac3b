import type { PendingRequest } from './pending-request.ts';

const CAPACITY_MIN = 1_024;
/** 2^32 divided by the golden ratio: spreads numbers given out in order (Knuth's multiplicative hashing). */
const GOLDEN = 0x9e3779b1;

/**
 * Requests by their number, in a hash table with open addressing. A `Map` whose entries come and go this fast leaves a trail
 * of tables that refer to each other, through which the garbage collector keeps most of the dead requests alive. It never
 * shrinks: what bounds the requests of a session bounds it at a few megabytes.
 */
export class PendingTable {
  #refs: number[] = emptyRefs(CAPACITY_MIN);
  #requests: (PendingRequest | undefined)[] = emptyRequests(CAPACITY_MIN);
  #mask = CAPACITY_MIN - 1;
  #size = 0;

  /** Numbers, not requests: one that was asked again counts once for each. */
  get size(): number {
    return this.#size;
  }

  get(ref: number): PendingRequest | undefined {
    return this.#requests[this.#slotOf(ref)];
  }

  /** Numbers are integers from 1. */
  set(ref: number, request: PendingRequest): void {
    const slot = this.#slotOf(ref);
    if (this.#requests[slot] === undefined) this.#size++;
    this.#refs[slot] = ref;
    this.#requests[slot] = request;
    if (this.#size * 2 > this.#mask) this.#grow((this.#mask + 1) * 2);
  }

  delete(ref: number): void {
    let hole = this.#slotOf(ref);
    if (this.#requests[hole] === undefined) return;
    this.#size--;
    // Whoever lies behind the hole and would not be found any more moves into it.
    for (let slot = (hole + 1) & this.#mask; this.#requests[slot] !== undefined; slot = (slot + 1) & this.#mask) {
      const home = this.#homeOf(this.#refs[slot] ?? 0);
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      this.#refs[hole] = this.#refs[slot] ?? 0;
      this.#requests[hole] = this.#requests[slot];
      hole = slot;
    }
    this.#refs[hole] = 0;
    this.#requests[hole] = undefined;
  }

  /** Every request with its newest number, in no order; a copy. */
  list(): PendingRequest[] {
    const found: PendingRequest[] = [];
    for (const [slot, request] of this.#requests.entries())
      if (request !== undefined && request.ref === this.#refs[slot]) found.push(request);
    return found;
  }

  clear(): void {
    this.#allocate(CAPACITY_MIN);
  }

  /** Where the number is, or the free place where it belongs. */
  #slotOf(ref: number): number {
    let slot = this.#homeOf(ref);
    while (this.#requests[slot] !== undefined && this.#refs[slot] !== ref) slot = (slot + 1) & this.#mask;
    return slot;
  }

  /** Scattered, since a long run of neighbours would have to be walked at every removal. */
  #homeOf(ref: number): number {
    return (Math.imul(ref, GOLDEN) >>> 8) & this.#mask;
  }

  #grow(capacity: number): void {
    const refs = this.#refs;
    const requests = this.#requests;
    this.#allocate(capacity);
    for (const [slot, request] of requests.entries()) if (request !== undefined) this.set(refs[slot] ?? 0, request);
  }

  #allocate(capacity: number): void {
    this.#refs = emptyRefs(capacity);
    this.#requests = emptyRequests(capacity);
    this.#mask = capacity - 1;
    this.#size = 0;
  }
}

function emptyRefs(capacity: number): number[] {
  return Array.from({ length: capacity }, () => 0);
}

function emptyRequests(capacity: number): (PendingRequest | undefined)[] {
  return Array.from({ length: capacity }, () => undefined);
}
