/** Breaks a copy of the source on purpose, one hazard at a time, and demands that the simulator sees it. */
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runBatch } from './batch.ts';
import { makePlan } from './plan-maker.ts';
import { runPlan } from './run-plan.ts';

/** A mutation as its file states it. */
interface Mutation {
  readonly name: string;
  /** What is broken, and which hazard it stands for. */
  readonly breaks: string;
  /** It must be caught within this many seeds. */
  readonly seeds: number;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = fileURLToPath(new URL('./mutations', import.meta.url));

export async function runMutations(only: string | undefined, workers: number | undefined): Promise<boolean> {
  const mutations = readdirSync(folder)
    .filter((file) => file.endsWith('.json') && (only === undefined || file.includes(only)))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Mutation);
  let caught = 0;
  for (const mutation of mutations) {
    const seeds = await seedsUntilCaught(mutation, workers);
    if (seeds !== undefined) caught++;
    console.log(
      `${seeds === undefined ? 'MISSED' : 'caught'} ${mutation.name}: ${seeds ?? `not within ${mutation.seeds} seeds`}`,
    );
  }
  console.log(`${caught} of ${mutations.length} mutations caught`);
  return caught === mutations.length;
}

async function seedsUntilCaught(mutation: Mutation, workers: number | undefined): Promise<string | undefined> {
  const copy = mkdtempSync(join(tmpdir(), 'lockkeeper-mutation-'));
  try {
    for (const part of ['src', 'test/sim', 'package.json'])
      cpSync(join(root, part), join(copy, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    for (const { file, find, replace } of mutation.edits) {
      const path = join(copy, file);
      const text = readFileSync(path, 'utf8');
      const places = text.split(find).length - 1;
      if (places !== 1) throw new Error(`mutation ${mutation.name}: its anchor is ${places} times in ${file}`);
      writeFileSync(
        path,
        text.replace(find, () => replace),
      );
    }
    let seed = 1;
    let found: { readonly seed: number; readonly rule: string } | undefined;
    const suspects: Promise<void>[] = [];
    // A seed that breaks without the mutation too says nothing about it.
    const confirm = async (which: number, rule: string) => {
      const { violation } = await runPlan(makePlan(which));
      if (violation === undefined && (found === undefined || which < found.seed)) found = { seed: which, rule };
    };
    const { reports } = await runBatch({
      workerPath: join(copy, 'test/sim/worker.ts'),
      ...(workers !== undefined && { workers }),
      next: () => (found === undefined && seed <= mutation.seeds ? seed++ : undefined),
      onReport: ({ seed: which, rule }) => {
        if (rule !== undefined) suspects.push(confirm(which, rule));
      },
    });
    await Promise.all(suspects);
    return found && `${reports.length} seeds run, seed ${found.seed} broke ${found.rule}`;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
