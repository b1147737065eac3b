import type { Inspection, LostPush, Operation, Reply } from './operations.ts';

/**
 * A session's way to the shard owners: in memory, or later a stream. Operations sent together are one frame; frames are
 * numbered from 1 and arrive in order. Replies come in any order.
 */
export interface SessionTransport {
  /**
   * Sends one frame and returns its number. An empty frame is a heartbeat: it tells every shard in which the session waits that
   * it is there, so that grants are made to it and count from a recent send. Never throws; what cannot be delivered is answered
   * with UNAVAILABLE.
   */
  send(operations: readonly Operation[]): number;
  /** Up to `limit` locks of a namespace whose id begins with `prefix` and comes after `after`, in order of their ids. */
  list(query: TransportListQuery): Promise<readonly Inspection[]>;
  /**
   * Tells a shard's owner that all holds of its shard were declared to it. `epoch` names the owner that is meant: one that has
   * taken over meanwhile was told nothing yet, and must not hear this.
   */
  reclaimComplete(shard: number, epoch: number): void;
  /** Ends the session. `goodbye` gives every hold back; `lost` leaves holds to their expiry. Later frames go nowhere. */
  close(reason: 'goodbye' | 'lost'): void;
}

export interface TransportListQuery {
  readonly namespace: string;
  readonly prefix: string;
  readonly after: string;
  /** 1 to 500. */
  readonly limit: number;
}

/** Where a transport delivers. Called outside of `send`, or within it after the frame was processed; must not throw. */
export interface SessionListener {
  onReply(reply: Reply): void;
  onLost(push: LostPush): void;
  /** The owner of a shard changed: replies of an older epoch are void, requests in flight there must be asked again. */
  onEpoch(shard: number, epoch: number): void;
}
