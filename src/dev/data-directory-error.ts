import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What can be wrong with a data directory, in words for the person at the terminal. */

/** Holds the number of the process that opened the directory last. */
export const OWNER_FILE_NAME = 'lockkeeper.pid';

/**
 * - `inUse`: another process has it. `damaged`: what is there cannot be trusted. `newer`: a newer version wrote it.
 * - `unusable`: the directory cannot be read or written. `failed`: an append failed; what the disk holds is unknown.
 */
export type DataDirectoryProblem = 'inUse' | 'damaged' | 'newer' | 'unusable' | 'failed';

/** The message is for the person at the terminal and says what to do next. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly problem: DataDirectoryProblem;
  /** The file to look at, to back up or to move away. */
  readonly file: string;

  constructor(problem: DataDirectoryProblem, file: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
    this.file = file;
  }
}

/** What a person can do about a file that cannot be trusted. Lockkeeper itself never deletes or repairs it. */
export function recoveryAdvice(file: string): string {
  return (
    `Nothing was changed. Put back a backup of this file; or, once nobody works under one of its locks, move ${file} ` +
    `(and ${file}-journal, if it is there) away and start again: everything kept in it is forgotten then, and new fencing tokens start above the wall clock.`
  );
}

/** A damaged file: what was found, and what to do. */
export function damaged(file: string, finding: string, options?: ErrorOptions): DataDirectoryError {
  const message = `The data file ${file} is damaged: ${finding}. ${recoveryAdvice(file)}`;
  return new DataDirectoryError('damaged', file, message, options);
}

/** SQLite's primary result codes that mean something else than a damaged file. */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const UNUSABLE_CODES = new Map([
  [3, 'it may not be read'],
  [8, 'it may not be written'],
  [10, 'the disk answered with an error'],
  [13, 'the disk is full'],
  [14, 'it cannot be opened'],
  [23, 'it may not be opened'],
]);

/** Any failure of an opening, as an error for the person at the terminal. */
export function openingError(error: unknown, file: string): DataDirectoryError {
  if (error instanceof DataDirectoryError) return error;
  const code = primaryCode(error);
  if (code === SQLITE_BUSY || code === SQLITE_LOCKED) return inUse(file, error);
  const trouble = UNUSABLE_CODES.get(code ?? 0);
  if (trouble === undefined && code !== undefined) return damaged(file, reasonOf(error), { cause: error });
  return new DataDirectoryError(
    'unusable',
    file,
    `The data directory ${dirname(file)} cannot be used: ${trouble ?? reasonOf(error)}. Check its owner, its mode and the room on its disk, or name another --data directory.`,
    { cause: error },
  );
}

/** Any failure of an append. */
export function appendError(error: unknown, file: string): DataDirectoryError {
  const trouble = UNUSABLE_CODES.get(primaryCode(error) ?? 0) ?? reasonOf(error);
  return new DataDirectoryError(
    'failed',
    file,
    `The data file ${file} could not be written: ${trouble}. The last writes may be kept or not. Make room or repair the disk, and start again.`,
    { cause: error },
  );
}

// By shape, not by class: an error of SQLite comes from outside the JavaScript realm.
function reasonOf(error: unknown): string {
  return String((error as { message?: unknown } | undefined)?.message ?? error);
}

function primaryCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === 'number' ? code & 0xff : undefined;
}

function inUse(file: string, cause: unknown): DataDirectoryError {
  const owner = runningOwner(file);
  const who = owner === undefined ? 'another process' : `the process ${owner}`;
  return new DataDirectoryError(
    'inUse',
    file,
    `The data directory ${dirname(file)} is in use by ${who}. Stop that one first, or name another --data directory.`,
    { cause },
  );
}

/** Number of the process that opened the directory last, if it is alive; a hint only, the lock decides. */
function runningOwner(file: string): number | undefined {
  let owner = 0;
  try {
    owner = Number(readFileSync(join(dirname(file), OWNER_FILE_NAME), 'utf8'));
    if (!Number.isInteger(owner) || owner <= 0) return undefined;
    process.kill(owner, 0);
    return owner;
  } catch (error) {
    // Not permitted: it is there, but belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM' && owner > 0 ? owner : undefined;
  }
}
