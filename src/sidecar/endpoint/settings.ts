/**
 * Times and counts of the localhost endpoint. Nothing here bounds how long an answer may take: a blocking acquire and a
 * `:hold` stream last as long as their caller stays.
 */
export interface EndpointSettings {
  /** A connection must have sent all headers of a request this long after its first byte, or after it was opened. */
  readonly headersTimeoutMs: number;
  /** A request must have arrived completely, body included, this long after its first byte. */
  readonly requestTimeoutMs: number;
  /** A connection without a request is closed after this. Above the 60 s after which common client pools drop theirs. */
  readonly keepAliveTimeoutMs: number;
  /** How often the two timeouts of incomplete requests are looked at; they may come this much late. */
  readonly timeoutCheckIntervalMs: number;
  /**
   * Connections without a request, each of which costs 10 to 20 KiB. The one that has been idle longest is closed first, so
   * no flood of them stops service or fills the memory.
   */
  readonly idleConnectionsMax: number;
  /** Connections in all. Above it a new one is answered UNAVAILABLE and closed. */
  readonly connectionsMax: number;
  /** Requests of one connection under way, which is more than one only if the caller pipelines. One that sends more is cut. */
  readonly requestsPerConnectionMax: number;
  /** How long answers under way may take once the endpoint closes; then their connections are cut. */
  readonly closeWaitMs: number;
  /** How long a connection stays half open after its last answer, so that the caller can read it before a reset. */
  readonly lingerMs: number;
}

export const DEFAULT_SETTINGS: EndpointSettings = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  keepAliveTimeoutMs: 75_000,
  timeoutCheckIntervalMs: 2_500,
  idleConnectionsMax: 1_024,
  connectionsMax: 8_192,
  requestsPerConnectionMax: 128,
  closeWaitMs: 5_000,
  lingerMs: 1_000,
};
