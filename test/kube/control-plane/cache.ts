/** The folder where programs are kept from one run to the next. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../support/wait.ts';

/** `$XDG_CACHE_HOME` or `~/.cache`, then `lockkeeper/kube`. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'lockkeeper', 'kube');
}

/** A build on a slow machine takes a quarter of an hour. */
const lockTimeoutMs = 30 * 60_000;

/**
 * Does `work` while no other process does it for the same folder. A lock that a dead process left is taken over; should
 * two find it at the same moment, both work, which costs time and harms nothing.
 */
export async function whileLocked<Result>(
  directory: string,
  onWait: (pid: number) => void,
  work: () => Promise<Result>,
): Promise<Result> {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, 'lock');
  let told = false;
  const take = () => {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = ownerOf(path);
    if (owner === undefined) rmSync(path, { force: true });
    else if (!told) onWait(owner);
    told = true;
    return false;
  };
  await waitFor(take, { what: `release of ${path}`, timeoutMs: lockTimeoutMs, intervalMs: 100 });
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function ownerOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    // Between creation and content the file is empty: then somebody is about to own it.
    if (pid !== 0) process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

/**
 * Has `make` fill an empty folder and then moves its files into `directory`, each at once: whoever looks sees a whole
 * file or none, and what an interrupted `make` left is swept away by the next.
 */
export async function publish(directory: string, make: (folder: string) => Promise<readonly string[]>): Promise<void> {
  const folder = `${directory}.making`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const names = await make(folder);
  mkdirSync(directory, { recursive: true });
  for (const name of names) renameSync(join(folder, name), join(directory, name));
  rmSync(folder, { recursive: true, force: true });
}
