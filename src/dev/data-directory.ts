import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { LEASE_KIND, type StoredLease } from '../kube/lease.ts';
import type { ObjectChange as ObjectChangeOfStore, ObjectJournal } from '../kube/embedded/object-log.ts';
import { EVENTS, type KubeObject } from '../kube/kube-object.ts';
import type { LeaseJournal } from '../kube/memory-lease-store.ts';
import type { Timers } from '../system/timers.ts';
import { DataDirectoryError, OWNER_FILE_NAME, appendError, damaged, openingError } from './data-directory-error.ts';

/**
 * Keeps Kubernetes objects of any kind over restarts of `npm start -- --data DIR`, in one SQLite file.
 *
 * - What `append` acknowledged survives a kill and a power cut: each append is one transaction, fsynced with its journal.
 * - The file is checked whole at opening: its structure, a checksum of every object, and one of the set of objects. Damage is
 *   named in an error that says what to do, and nothing is changed; a file that was cut to nothing counts as damaged.
 * - One process at a time: the lock belongs to the process, so that the kernel takes it back whatever way the process ends.
 *
 * Not promised: that a file put back from a backup is noticed (nobody could tell), nor anything on a file system without
 * POSIX locks. An append blocks the event loop until the disk answers, some milliseconds.
 */
export const DATA_FILE_NAME = 'lockkeeper.db';

/** "Lckk", written into the file's header. */
const APPLICATION_ID = 0x4c636b6b;
const SCHEMA_VERSION = 1;
/** Long enough for two processes that begin together to sort out who has the lock. */
const LOCK_WAIT_MS = 200;
const SCHEMA = `
  CREATE TABLE objects (
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    resource_version INTEGER NOT NULL,
    json TEXT NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (kind, namespace, name)
  ) STRICT;
  -- One row: the highest version ever given out, and what all objects together must look like.
  CREATE TABLE summary (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    resource_version INTEGER NOT NULL,
    object_count INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    crc INTEGER NOT NULL
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** One object as it is kept. `kind`, `namespace` and `name` together are unique. */
export interface StoredObject {
  readonly kind: string;
  /** Empty for an object without namespace. */
  readonly namespace: string;
  readonly name: string;
  /** Decimal, below 2^53. */
  readonly resourceVersion: string;
  readonly json: string;
}

/** `put` creates or replaces; `delete` of an object that is not there does nothing but raise the version. */
export type ObjectChange =
  | { readonly type: 'put'; readonly object: StoredObject }
  | { readonly type: 'delete'; readonly object: Omit<StoredObject, 'json'> };

export interface DataDirectoryContent {
  readonly objects: readonly StoredObject[];
  /** The highest version ever appended, also of objects that are gone. */
  readonly resourceVersion: string;
}

export interface DataDirectoryOptions {
  /** Made, with its parents, if it is not there. */
  readonly path: string;
  readonly timers: Timers;
}

/** Opens, checks and locks a data directory; rejects with `DataDirectoryError`. The content is what the last process left. */
export async function openDataDirectory(
  options: DataDirectoryOptions,
): Promise<{ directory: DataDirectory; content: DataDirectoryContent }> {
  const path = resolve(options.path);
  const file = join(path, DATA_FILE_NAME);
  const { DatabaseSync: Database } = await loadSqlite();
  const open = (name: string) => new Database(name, { timeout: LOCK_WAIT_MS });
  try {
    makeDirectory(path);
    if (!existsSync(file)) createDataFile(path, file, open);
    assertNotCut(file);
    return openDataFile(path, open(file), file, options.timers);
  } catch (error) {
    throw openingError(error, file);
  }
}

function openDataFile(
  path: string,
  database: DatabaseSync,
  file: string,
  timers: Timers,
): { directory: DataDirectory; content: DataDirectoryContent } {
  try {
    const content = lockAndRead(database, file);
    writeFileSync(join(path, OWNER_FILE_NAME), `${process.pid}\n`);
    removeUnfinished(path);
    return { directory: new DataDirectory(database, file, timers), content };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** An open data directory, made by `openDataDirectory`. */
export class DataDirectory implements Disposable {
  readonly file: string;
  readonly #database: DatabaseSync;
  readonly #timers: Timers;
  readonly #statements: Readonly<Record<'crcOf' | 'put' | 'remove' | 'summary' | 'summarize', StatementSync>>;
  #closed = false;

  constructor(database: DatabaseSync, file: string, timers: Timers) {
    this.file = file;
    this.#database = database;
    this.#timers = timers;
    this.#statements = {
      crcOf: database.prepare('SELECT crc FROM objects WHERE kind = ? AND namespace = ? AND name = ?'),
      put: database.prepare(
        'INSERT OR REPLACE INTO objects (kind, namespace, name, resource_version, json, crc) VALUES (?, ?, ?, ?, ?, ?)',
      ),
      remove: database.prepare('DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?'),
      summary: database.prepare('SELECT resource_version, object_count, digest FROM summary'),
      summarize: database.prepare('UPDATE summary SET resource_version = ?, object_count = ?, digest = ?, crc = ?'),
    };
  }

  /**
   * Makes all changes durable together, in this order. Resolves after the event loop has read what arrived meanwhile, so that
   * the next append finds a group. Rejects with `DataDirectoryError` (`failed`): the directory must then be opened anew.
   */
  async append(changes: readonly ObjectChange[]): Promise<void> {
    if (this.#closed) throw new DataDirectoryError('failed', this.file, `The data file ${this.file} is closed.`);
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      this.#write(changes);
      this.#database.exec('COMMIT');
    } catch (error) {
      this[Symbol.dispose]();
      throw appendError(error, this.file);
    }
    await new Promise<void>((done) => this.#timers.soon(done));
  }

  /** Closes the file and lets the next process in. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    rmSync(join(dirname(this.file), OWNER_FILE_NAME), { force: true });
    this.#database.close();
  }

  #write(changes: readonly ObjectChange[]): void {
    const { crcOf, put, remove, summary, summarize } = this.#statements;
    const before = summary.get() as unknown as SummaryRow;
    let { resource_version: version, object_count: count, digest } = before;
    for (const { type, object } of changes) {
      const { kind, namespace, name } = object;
      const old = crcOf.get(kind, namespace, name) as { crc: number } | undefined;
      if (old !== undefined) [count, digest] = [count - 1, digest ^ old.crc];
      if (type === 'put') {
        const crc = crcOfObject(object);
        put.run(kind, namespace, name, Number(object.resourceVersion), object.json, crc);
        [count, digest] = [count + 1, digest ^ crc];
      } else {
        remove.run(kind, namespace, name);
      }
      version = Math.max(version, Number(object.resourceVersion));
    }
    digest >>>= 0;
    summarize.run(version, count, digest, crcOfSummary({ resource_version: version, object_count: count, digest }));
  }
}

/** The journal of a store of Leases that keeps them in this directory, as objects of kind `Lease`. */
export function leaseJournal(directory: DataDirectory): LeaseJournal {
  return {
    append: (changes) =>
      directory.append(
        changes.map(({ type, lease }): ObjectChange => {
          const { namespace, name, resourceVersion } = lease.metadata;
          const key = { kind: LEASE_KIND, namespace, name, resourceVersion };
          return type === 'DELETED'
            ? { type: 'delete', object: key }
            : { type: 'put', object: { ...key, json: JSON.stringify(lease) } };
        }),
      ),
  };
}

/** The Leases that `leaseJournal` kept. Their checksums were verified at opening. */
export function leasesOf(content: DataDirectoryContent): StoredLease[] {
  return content.objects.filter(({ kind }) => kind === LEASE_KIND).map(({ json }) => JSON.parse(json) as StoredLease);
}

/** The journal of an embedded store that keeps all kinds but Events, which are gone with their process. */
export function objectJournal(directory: DataDirectory): ObjectJournal {
  return {
    append: async (changes) => {
      const kept = changes.filter(({ resource }) => resource !== EVENTS);
      if (kept.length > 0) await directory.append(kept.map(keptChange));
    },
  };
}

function keptChange({ type, resource, object }: ObjectChangeOfStore): ObjectChange {
  const { namespace = '', name, resourceVersion } = object.metadata;
  const key = { kind: resource.kind, namespace, name, resourceVersion };
  return type === 'DELETED'
    ? { type: 'delete', object: key }
    : { type: 'put', object: { ...key, json: JSON.stringify(object) } };
}

/** What `objectJournal` or `leaseJournal` kept; a store leaves out what is of another kind than its own. */
export function objectsOf(content: DataDirectoryContent): KubeObject[] {
  return content.objects.flatMap(({ kind, json }) => {
    const kept = JSON.parse(json) as KubeObject;
    const object = kind === LEASE_KIND ? { ...kept, apiVersion: 'coordination.k8s.io/v1', kind } : kept;
    return object.kind === kind ? [object] : [];
  });
}

interface ObjectRow {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly resource_version: number;
  readonly json: string;
  readonly crc: number;
}

interface SummaryRow {
  readonly resource_version: number;
  readonly object_count: number;
  readonly digest: number;
}

/** Loads SQLite only where it is used, and without the warning that early releases of Node 24 print about it. */
async function loadSqlite(): Promise<typeof import('node:sqlite')> {
  const emitWarning: unknown = Reflect.get(process, 'emitWarning');
  const filtered = (...details: unknown[]) => {
    if (String(details[0]).includes('SQLite is an experimental feature')) return;
    Reflect.apply(emitWarning as (...rest: unknown[]) => void, process, details);
  };
  Reflect.set(process, 'emitWarning', filtered);
  try {
    return await import('node:sqlite');
  } finally {
    Reflect.set(process, 'emitWarning', emitWarning);
  }
}

function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first !== undefined) syncDirectory(dirname(first));
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const unfinishedPrefix = `${DATA_FILE_NAME}.new-`;

/**
 * Makes an empty data file under another name and links it in place when it is complete: a file that is there was complete
 * once, so an empty one is damage and not a beginning. Of processes that begin together all but one find its file.
 */
function createDataFile(path: string, file: string, open: (name: string) => DatabaseSync): void {
  if (existsSync(`${file}-journal`) && !existsSync(file)) throw damaged(file, 'it is gone, but its journal is there');
  const unfinished = join(path, `${unfinishedPrefix}${process.pid}`);
  try {
    rmSync(unfinished, { force: true });
    writeEmpty(open(unfinished));
    linkInPlace(unfinished, file);
    syncDirectory(path);
  } catch (error) {
    // Whoever was faster has cleared our beginning away.
    if (!existsSync(file)) throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

function writeEmpty(database: DatabaseSync): void {
  try {
    database.exec(`PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON; BEGIN; ${SCHEMA}`);
    const crc = crcOfSummary({ resource_version: 0, object_count: 0, digest: 0 });
    database.prepare('INSERT INTO summary VALUES (1, 0, 0, 0, ?)').run(crc);
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}

function linkInPlace(unfinished: string, file: string): void {
  try {
    linkSync(unfinished, file);
  } catch (error) {
    // A file system without hard links: only there can two first starts in the same instant disturb each other.
    if (existsSync(file) || (error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
    renameSync(unfinished, file);
  }
}

/** Left by processes that were killed while they made a data file. */
function removeUnfinished(path: string): void {
  for (const name of readdirSync(path))
    if (name.startsWith(unfinishedPrefix)) rmSync(join(path, name), { force: true });
}

/** SQLite takes an empty file for a new one. Never opens the file: closing it again would drop this process's lock on it. */
function assertNotCut(file: string): void {
  const { size } = statSync(file);
  if (size < 512) throw damaged(file, `it was cut to ${size} bytes`);
}

/** Takes the lock, which also undoes a transaction that a killed process left half done, then reads and checks everything. */
function lockAndRead(database: DatabaseSync, file: string): DataDirectoryContent {
  // In this order: a connection that kept its shared lock from the start could keep another from the exclusive one, and vice versa.
  database.exec('BEGIN EXCLUSIVE; PRAGMA locking_mode = EXCLUSIVE');
  assertOurs(database, file);
  const content = readChecked(database, file);
  database.exec('COMMIT; PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON');
  return content;
}

function assertOurs(database: DatabaseSync, file: string): void {
  const applicationId = pragma(database, 'application_id');
  const version = Number(pragma(database, 'user_version'));
  if (applicationId !== APPLICATION_ID) throw damaged(file, 'its header is not the one of a Lockkeeper data file');
  if (version > SCHEMA_VERSION) {
    throw new DataDirectoryError(
      'newer',
      file,
      `The data file ${file} was written by a newer version of Lockkeeper (schema ${version}; this version knows ${SCHEMA_VERSION}). Start that version, or name another --data directory. Nothing was changed.`,
    );
  }
  if (version < SCHEMA_VERSION) throw damaged(file, `its header names the unknown schema ${version}`);
  const finding = pragma(database, 'integrity_check(1)');
  if (finding !== 'ok') throw damaged(file, String(finding));
}

function pragma(database: DatabaseSync, text: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${text}`).get() ?? {})[0];
}

function readChecked(database: DatabaseSync, file: string): DataDirectoryContent {
  const rows = database
    .prepare('SELECT kind, namespace, name, resource_version, json, crc FROM objects ORDER BY kind, namespace, name')
    .all() as unknown as ObjectRow[];
  const summary = database
    .prepare('SELECT resource_version, object_count, digest, crc FROM summary')
    .get() as unknown as (SummaryRow & { crc: number }) | undefined;
  let digest = 0;
  const objects = rows.map(({ resource_version, crc, ...row }) => {
    const object: StoredObject = { ...row, resourceVersion: String(resource_version) };
    if (crcOfObject(object) !== crc)
      throw damaged(file, `the ${row.kind} ${row.namespace}/${row.name} in it does not match its checksum`);
    digest ^= crc;
    return object;
  });
  if (summary === undefined || crcOfSummary(summary) !== summary.crc)
    throw damaged(file, 'its summary does not match its checksum');
  if (summary.object_count !== rows.length || summary.digest !== digest >>> 0) {
    throw damaged(
      file,
      `it holds ${rows.length} objects, which are not the ${summary.object_count} that were written last`,
    );
  }
  return { objects, resourceVersion: String(summary.resource_version) };
}

function crcOfObject({ kind, namespace, name, resourceVersion, json }: StoredObject): number {
  return crc32([kind, namespace, name, resourceVersion, json].join('\0'));
}

function crcOfSummary({ resource_version, object_count, digest }: SummaryRow): number {
  return crc32([resource_version, object_count, digest].join('\0'));
}
