/** Reading the audit log of a control plane: what really reached the API server, whatever its clients believe. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { waitFor } from '../../support/wait.ts';

/** One line of the log, as far as tests use it. `audit.k8s.io/v1` says the rest. */
export interface AuditEntry {
  /** The same for all stages of one request. */
  readonly auditID: string;
  readonly stage: 'RequestReceived' | 'ResponseComplete' | 'Panic';
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`. */
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number; readonly reason?: string };
  // biome-ignore lint: a test reads whatever is there
  readonly requestObject?: any;
  // biome-ignore lint: a test reads whatever is there
  readonly responseObject?: any;
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

export interface AuditFilter {
  /** Plural, for example `leases`. */
  readonly resource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly userAgent?: string | RegExp;
}

const writeVerbs = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Follows the file: each question reads what came since the last one, and keeps it. */
export class AuditLog {
  readonly #path: string;
  readonly #entries: AuditEntry[] = [];
  readonly #open = new Set<string>();
  #offset = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** Everything logged until now, in order. */
  entries(filter: AuditFilter = {}): readonly AuditEntry[] {
    this.#readOn();
    return this.#entries.filter((entry) => matches(entry, filter));
  }

  /** The writes that were answered, refused ones among them, in the order of their answers. */
  writes(filter: AuditFilter = {}): readonly AuditEntry[] {
    return this.entries(filter).filter(({ stage, verb }) => stage !== 'RequestReceived' && writeVerbs.has(verb));
  }

  /**
   * Resolves once every request that fits and was received before this call has been answered, long-running ones aside: from
   * then on `writes` has everything that happened before. A request is logged before it is handled, so one whose effect was seen
   * is there. Name what you look at on a server that others use too: a patch that it refuses while it merges fields is never
   * logged as answered. Requests that a killed server left open count as ended once it is known to be dead: call `forgetOpen` then.
   */
  async settled(filter: AuditFilter = {}, timeoutMs = 30_000): Promise<void> {
    const before = this.openRequests().filter((entry) => matches(entry, filter));
    await waitFor(
      () => {
        this.#readOn();
        return before.every(({ auditID }) => !this.#open.has(auditID));
      },
      { what: 'end of the requests in the audit log', timeoutMs },
    );
  }

  /** Requests that were received and not answered, oldest first. */
  openRequests(): readonly AuditEntry[] {
    this.#readOn();
    return this.#entries.filter(({ auditID, stage }) => stage === 'RequestReceived' && this.#open.has(auditID));
  }

  /** What is open now will never be answered: its server was killed. */
  forgetOpen(): void {
    this.#readOn();
    this.#open.clear();
  }

  /** The first entry, old or new, that `wanted` accepts. */
  waitFor(wanted: (entry: AuditEntry) => boolean, what: string, timeoutMs = 30_000): Promise<AuditEntry> {
    let next = 0;
    const ask = () => {
      this.#readOn();
      while (next < this.#entries.length) {
        const entry = this.#entries[next] as AuditEntry;
        next += 1;
        if (wanted(entry)) return entry;
      }
      return undefined;
    };
    return waitFor(ask, { what: `${what} in the audit log`, timeoutMs });
  }

  #readOn(): void {
    if (!existsSync(this.#path)) return;
    const file = openSync(this.#path, 'r');
    try {
      const buffer = Buffer.alloc(fstatSync(file).size - this.#offset);
      const length = readSync(file, buffer, 0, buffer.length, this.#offset);
      this.#offset += length;
      const text = Buffer.concat([this.#rest, buffer.subarray(0, length)]);
      // The last line may still be being written.
      const end = text.lastIndexOf(10) + 1;
      this.#rest = text.subarray(end);
      for (const line of text.toString('utf8', 0, end).split('\n')) {
        if (line !== '') this.#take(JSON.parse(line) as AuditEntry);
      }
    } finally {
      closeSync(file);
    }
  }

  #take(entry: AuditEntry): void {
    this.#entries.push(entry);
    if (entry.verb === 'watch') return;
    if (entry.stage === 'RequestReceived') this.#open.add(entry.auditID);
    else this.#open.delete(entry.auditID);
  }
}

function matches({ objectRef, userAgent }: AuditEntry, filter: AuditFilter): boolean {
  const { resource, namespace, name } = filter;
  if (resource !== undefined && objectRef?.resource !== resource) return false;
  if (namespace !== undefined && objectRef?.namespace !== namespace) return false;
  if (name !== undefined && objectRef?.name !== name) return false;
  if (filter.userAgent === undefined) return true;
  const agent = userAgent ?? '';
  return typeof filter.userAgent === 'string' ? agent === filter.userAgent : filter.userAgent.test(agent);
}
