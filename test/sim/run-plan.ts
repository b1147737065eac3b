/** Runs one plan to its verdict: first everything goes wrong, then it heals and must come to rest. */
import { happen } from './happenings.ts';
import { heal } from './heal.ts';
import type { Plan } from './plan.ts';
import { Simulation } from './simulation.ts';
import type { Violation } from './violation.ts';

export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly coverage: Readonly<Record<string, number>>;
  readonly operations: number;
  readonly digest: string;
  /** The events around the broken rule, for people. */
  readonly trace: readonly string[];
}

const BACKUP_EVERY_MS = 11_000;
const CHECK_EVERY_MS = 1_500;
const TRACED = 90;

export async function runPlan(plan: Plan): Promise<Outcome> {
  const simulation = new Simulation(plan);
  const { apiServer, leases } = simulation;
  const backUp = () => {
    void leases.backUp();
    if (!simulation.isCalm) apiServer.after(BACKUP_EVERY_MS, backUp);
  };
  apiServer.after(BACKUP_EVERY_MS, backUp);
  simulation.begin((event) => happen(simulation, event));
  await simulation.run(plan.safetyMs, CHECK_EVERY_MS);
  if (simulation.failure === undefined) await heal(simulation);
  const { failure, history, coverage } = simulation;
  return {
    seed: plan.seed,
    violation: failure,
    coverage: coverage.toRecord(),
    operations: simulation.operationsSent,
    digest: history.digest(),
    trace: failure === undefined ? [] : history.last(TRACED, [...failure.about, '##', '!!']),
  };
}
