/**
 * Goal: what a data directory acknowledged is there after any end of its process; what cannot be trusted is never read as if
 * it could; and no two processes have one directory.
 * Method: real files in temporary directories, damaged on purpose; real processes that are killed with SIGKILL, as soon as
 * they have said what the test waits for.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  DATA_FILE_NAME,
  type DataDirectoryContent,
  type StoredObject,
  leaseJournal,
  leasesOf,
  openDataDirectory,
} from '../../src/dev/data-directory.ts';
import { DataDirectoryError, type DataDirectoryProblem } from '../../src/dev/data-directory-error.ts';
import { MemoryLeaseStore } from '../../src/kube/memory-lease-store.ts';
import { seededRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';

const timers = systemTimers();
const source = new URL('../../src', import.meta.url).href;
let path = '';
let file = '';
const children: ChildProcess[] = [];

beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'lockkeeper-data-')), 'made', 'on demand');
  file = join(path, DATA_FILE_NAME);
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(join(path, '../..'), { recursive: true });
});

const open = () => openDataDirectory({ path, timers });

/** What the directory holds, read by opening it once. */
async function contentNow(): Promise<DataDirectoryContent> {
  const { directory, content } = await open();
  directory[Symbol.dispose]();
  return content;
}

async function problem(): Promise<DataDirectoryError> {
  const error = await contentNow().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DataDirectoryError);
  return error as DataDirectoryError;
}

function object(name: string, version: number, json = '{}', kind = 'Lease'): StoredObject {
  return { kind, namespace: 'default', name, resourceVersion: String(version), json };
}

async function filled(objects: readonly StoredObject[]): Promise<DataDirectoryContent> {
  const { directory } = await open();
  await directory.append(objects.map((each) => ({ type: 'put', object: each })));
  directory[Symbol.dispose]();
  return {
    objects,
    resourceVersion: String(Math.max(...objects.map(({ resourceVersion }) => Number(resourceVersion)))),
  };
}

/** Runs a module in another process; what it prints arrives at `said`. */
function run(code: string) {
  const imports = `
    import { writeSync } from 'node:fs';
    import { DatabaseSync } from 'node:sqlite';
    import { openDataDirectory } from '${source}/dev/data-directory.ts';
    import { systemTimers } from '${source}/system/timers.ts';
    const path = ${JSON.stringify(path)};
    const timers = systemTimers();
    const say = (text) => writeSync(1, text + '\\n');
  `;
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', imports + code]);
  children.push(child);
  let text = '';
  let trouble = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  child.stderr.on('data', (chunk) => (trouble += String(chunk)));
  const ended = once(child, 'close');
  const said = async (wanted: (lines: string[]) => boolean): Promise<string[]> => {
    const lines = () => text.split('\n').slice(0, -1);
    while (!wanted(lines())) {
      if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}: ${trouble}`);
      await Promise.race([once(child.stdout, 'data'), ended]);
    }
    return lines();
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
    return text.split('\n').slice(0, -1);
  };
  return { pid: child.pid, said, kill, ended };
}

describe('keeping', () => {
  test('a new directory is empty, and made with its parents', async () => {
    expect(await contentNow()).toEqual({ objects: [], resourceVersion: '0' });
    expect(await contentNow()).toEqual({ objects: [], resourceVersion: '0' });
    expect(readdirSync(path).filter((name) => name.includes('.new-'))).toEqual([]);
  });

  test('objects of any kind, replaced and deleted, and the highest version of all', async () => {
    const { directory } = await open();
    await directory.append([
      { type: 'put', object: object('a', 1, '{"text":"zero \\u0000, ümlaut, 😀"}') },
      { type: 'put', object: object('a', 2, '{}', 'DistributedLock') },
      { type: 'put', object: object('b', 3) },
    ]);
    await directory.append([
      { type: 'put', object: object('b', 4, '{"more":true}') },
      { type: 'put', object: object('c', 5) },
      { type: 'delete', object: object('c', 6) },
      { type: 'delete', object: object('never there', 7) },
    ]);
    directory[Symbol.dispose]();
    expect(await contentNow()).toEqual({
      objects: [
        object('a', 2, '{}', 'DistributedLock'),
        object('a', 1, '{"text":"zero \\u0000, ümlaut, 😀"}'),
        object('b', 4, '{"more":true}'),
      ],
      resourceVersion: '7',
    });
  });

  test('an append after the end is refused', async () => {
    const { directory } = await open();
    directory[Symbol.dispose]();
    directory[Symbol.dispose]();
    await expect(directory.append([])).rejects.toMatchObject({ problem: 'failed', file });
  });

  test('an append that the disk refuses keeps nothing of it and ends the directory', async () => {
    const before = await filled([object('a', 1)]);
    const { directory } = await open();
    const tooMuch = { ...object('b', 2), namespace: undefined as unknown as string };
    const failing = directory.append([
      { type: 'put', object: object('a', 2, '{"new":true}') },
      { type: 'put', object: tooMuch },
    ]);
    await expect(failing).rejects.toMatchObject({ problem: 'failed', file });
    await expect(directory.append([])).rejects.toMatchObject({ problem: 'failed' });
    expect(await contentNow()).toEqual(before);
  });

  test('as the journal of a store: the next process goes on where this one ended', async () => {
    const options = { clock: { monotonicMs: () => 0, wallMs: () => 0 }, random: seededRandom(1) };
    const first = await open();
    const before = new MemoryLeaseStore({ ...options, journal: leaseJournal(first.directory) });
    const make = (name: string) => before.create({ metadata: { namespace: 'default', name }, spec: {} });
    const [kept, gone] = await Promise.all([make('kept'), make('gone')]);
    const updated = await before.update({ ...kept, spec: { holderIdentity: 'me' } });
    await before.delete('default', 'gone', gone.metadata.resourceVersion);
    first.directory[Symbol.dispose]();

    const { directory, content } = await open();
    const initial = { leases: leasesOf(content), resourceVersion: content.resourceVersion };
    const after = new MemoryLeaseStore({ ...options, journal: leaseJournal(directory), initial });
    expect(await after.list({})).toEqual({ items: [updated], resourceVersion: '4' });
    directory[Symbol.dispose]();
  });
});

describe('one process at a time', () => {
  test('a second opening is refused with the directory and the process that has it, and changes nothing', async () => {
    const owner = run('await openDataDirectory({ path, timers }); say("open"); setInterval(() => {}, 1000);');
    await owner.said((lines) => lines.includes('open'));
    const error = await problem();
    expect(error).toMatchObject({ problem: 'inUse', file });
    expect(error.message).toContain(path);
    expect(error.message).toContain(`the process ${owner.pid}.`);
    expect(await problem()).toMatchObject({ problem: 'inUse' });

    await owner.kill();
    expect(await contentNow()).toEqual({ objects: [], resourceVersion: '0' });
  });

  test('also in one process, and nobody reads beside it', async () => {
    const { directory } = await open();
    using reader = new DatabaseSync(file);
    expect(() => reader.exec('SELECT * FROM objects')).toThrow('locked');
    expect(await problem()).toMatchObject({ problem: 'inUse' });
    await directory.append([{ type: 'put', object: object('a', 1) }]);
    expect(() => reader.exec('SELECT * FROM objects')).toThrow('locked');
    expect(await problem()).toMatchObject({ problem: 'inUse' });
    directory[Symbol.dispose]();
    expect((await contentNow()).resourceVersion).toBe('1');
  });

  test('of processes that begin a directory together exactly one has it', async () => {
    const start = join(path, '../../start');
    const code = `
      import { existsSync } from 'node:fs';
      say('ready');
      while (!existsSync(${JSON.stringify(start)}));
      await openDataDirectory({ path, timers }).then(() => say('open'), (error) => say(error.problem));
      setInterval(() => {}, 1000);
    `;
    const racers = [run(code), run(code), run(code), run(code)];
    await Promise.all(racers.map((racer) => racer.said((lines) => lines.length === 1)));
    writeFileSync(start, '');
    const said = await Promise.all(racers.map((racer) => racer.said((lines) => lines.length === 2)));
    expect(said.map((lines) => lines[1] ?? '').toSorted()).toEqual(['inUse', 'inUse', 'inUse', 'open']);
  });
});

describe('after a kill', () => {
  test('every acknowledged write is there, in each of several lives', async () => {
    const code = `
      const { directory, content } = await openDataDirectory({ path, timers });
      let version = Number(content.resourceVersion);
      for (;;) {
        version += 1;
        const object = { kind: 'Lease', namespace: 'n', name: 'o' + (version % 7), resourceVersion: String(version), json: JSON.stringify({ version, pad: 'x'.repeat(version % 9000) }) };
        await directory.append([{ type: 'put', object }]);
        say(String(version));
      }
    `;
    let acknowledged = 0;
    for (let life = 0; life < 5; life += 1) {
      const writer = run(code);
      await writer.said((lines) => lines.length >= 5 + life);
      acknowledged = Math.max(acknowledged, ...(await writer.kill()).map(Number));
      const { objects, resourceVersion } = await contentNow();
      const version = Number(resourceVersion);
      // One write may have landed whose acknowledgement was not heard; none may be missing.
      expect([acknowledged, acknowledged + 1]).toContain(version);
      const expected = Array.from({ length: 7 }, (_, index) => version - index).filter((each) => each > 0);
      expect(
        objects.map(({ json }) => (JSON.parse(json) as { version: number }).version).toSorted((a, b) => b - a),
      ).toEqual(expected);
    }
  }, 20_000);

  test('a transaction that was cut in the middle is undone', async () => {
    const before = await filled(
      Array.from({ length: 20 }, (_, index) =>
        object(`o${String(index).padStart(2, '0')}`, index + 1, JSON.stringify('x'.repeat(3000))),
      ),
    );
    const pristine = readFileSync(file);
    // Small enough a cache that pages reach the file before the end of the transaction.
    const cut = run(`
      const database = new DatabaseSync(path + '/${DATA_FILE_NAME}');
      database.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN; UPDATE objects SET json = upper(json); UPDATE summary SET resource_version = 99");
      say('cut');
      setInterval(() => {}, 1000);
    `);
    await cut.said((lines) => lines.includes('cut'));
    await cut.kill();
    expect(statSync(`${file}-journal`).size).toBeGreaterThan(0);
    expect(readFileSync(file).equals(pristine)).toBe(false);
    expect(await contentNow()).toEqual(before);
  });

  test('what a process left that was killed while it made the file is cleared away', async () => {
    await contentNow();
    writeFileSync(join(path, `${DATA_FILE_NAME}.new-1`), 'half');
    await contentNow();
    expect(existsSync(join(path, `${DATA_FILE_NAME}.new-1`))).toBe(false);
  });
});

describe('damage is named and nothing is changed', () => {
  const secret = 'the-json-of-this-object';
  const objects = [object('a', 1, JSON.stringify({ secret })), object('b', 2, JSON.stringify('x'.repeat(9000)))];

  function edit(sql: string): void {
    const database = new DatabaseSync(file);
    database.exec(sql);
    database.close();
  }

  function flip(offset: number): void {
    const bytes = readFileSync(file);
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  }

  test.each<[string, () => void, DataDirectoryProblem, string]>([
    ['a flipped byte inside an object', () => flip(readFileSync(file).indexOf(secret)), 'damaged', 'Lease default/a'],
    ['a flipped byte in the header', () => flip(0), 'damaged', 'not a database'],
    ['a flipped byte in the structure', () => flip(4096), 'damaged', 'is damaged'],
    ['a file cut to nothing', () => truncateSync(file, 0), 'damaged', 'cut to 0 bytes'],
    ['a file cut to less than a header', () => truncateSync(file, 99), 'damaged', 'cut to 99 bytes'],
    ['a file cut at a page', () => truncateSync(file, 4096), 'damaged', 'is damaged'],
    ['a file cut by one byte', () => truncateSync(file, statSync(file).size - 1), 'damaged', 'is damaged'],
    ['another file in its place', () => writeFileSync(file, 'x'.repeat(8192)), 'damaged', 'not a database'],
    [
      'another database in its place',
      () => (rmSync(file), edit('PRAGMA user_version = 1; CREATE TABLE a (b)')),
      'damaged',
      'not the one of a Lockkeeper',
    ],
    ['a lost object', () => edit("DELETE FROM objects WHERE name = 'b'"), 'damaged', '1 objects'],
    [
      'an older state of an object',
      () => edit("UPDATE objects SET resource_version = 1 WHERE name = 'b'"),
      'damaged',
      'Lease default/b',
    ],
    ['a lower version', () => edit('UPDATE summary SET resource_version = 1'), 'damaged', 'summary'],
    ['a lost summary', () => edit('DELETE FROM summary'), 'damaged', 'summary'],
    ['a lost table', () => edit('DROP TABLE objects'), 'damaged', 'objects'],
    ['a newer schema', () => edit('PRAGMA user_version = 2'), 'newer', 'newer version'],
    ['an unknown schema', () => edit('PRAGMA user_version = 0'), 'damaged', 'schema 0'],
    ['a journal without its file', () => (rmSync(file), writeFileSync(`${file}-journal`, 'x')), 'damaged', 'gone'],
  ])('%s', async (_what, damage, kind, text) => {
    await filled(objects);
    damage();
    const before = existsSync(file) ? readFileSync(file) : undefined;
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const error = await problem();
      expect(error).toMatchObject({ problem: kind, file });
      expect(error.message).toContain(file);
      expect(error.message).toContain(text);
      expect(error.message).toContain('Nothing was changed');
    }
    expect(existsSync(file) ? readFileSync(file) : undefined).toEqual(before);
  });

  test('no flipped byte anywhere makes it read otherwise', async () => {
    await filled(objects);
    const content = await contentNow();
    const pristine = readFileSync(file);
    const problems = new Set<string>();
    const misread: number[] = [];
    for (let offset = 0; offset < pristine.length; offset += 211) {
      flip(offset);
      const read = await contentNow().catch((error: unknown) => error);
      if (read instanceof DataDirectoryError) problems.add(read.problem);
      else if (JSON.stringify(read) !== JSON.stringify(content)) misread.push(offset);
      writeFileSync(file, pristine);
      rmSync(`${file}-journal`, { force: true });
    }
    expect(misread).toEqual([]);
    expect([...problems]).toContain('damaged');
  });

  test('a directory that cannot be used says so', async () => {
    rmSync(join(path, '..'), { recursive: true, force: true });
    writeFileSync(join(path, '..'), 'a file where a directory should be');
    const error = await problem();
    expect(error).toMatchObject({ problem: 'unusable' });
    expect(error.message).toContain(path);
  });
});
