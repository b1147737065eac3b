/** Makes a failing plan small: leaves parts out as long as the same rule stays broken. */
import type { Plan } from './plan.ts';
import { type Outcome, runPlan } from './run-plan.ts';

export interface Shrunk {
  readonly plan: Plan;
  readonly outcome: Outcome;
  readonly runs: number;
}

export async function shrink(plan: Plan, outcome: Outcome, withinMs: number): Promise<Shrunk> {
  const endMs = performance.now() + withinMs;
  let best: Shrunk = { plan, outcome, runs: 0 };
  let runs = 0;
  const isOver = () => performance.now() > endMs;
  const attempt = async (smaller: Plan): Promise<boolean> => {
    runs++;
    const found = await runPlan(smaller);
    if (found.violation?.rule !== outcome.violation?.rule) return false;
    best = { plan: smaller, outcome: found, runs };
    return true;
  };
  for (let changed = true; changed && !isOver(); ) {
    const before = sizeOf(best.plan);
    await reduce('weather', () => best.plan, attempt, isOver);
    await reduce('events', () => best.plan, attempt, isOver);
    await dropClients(() => best.plan, attempt, isOver);
    await dropPods(() => best.plan, attempt);
    await reduce('podUses', () => best.plan, attempt, isOver);
    await reduce('activities', () => best.plan, attempt, isOver);
    changed = sizeOf(best.plan) < before;
  }
  return { ...best, runs };
}

function sizeOf({ weather, events, activities, podUses }: Plan): number {
  return weather.length + events.length + activities.length + podUses.length;
}

/** Leaves out ever smaller pieces of one list. */
async function reduce(
  field: 'weather' | 'events' | 'activities' | 'podUses',
  current: () => Plan,
  attempt: (plan: Plan) => Promise<boolean>,
  isOver: () => boolean,
): Promise<void> {
  for (
    let size = Math.ceil(current()[field].length / 2);
    size >= 1 && !isOver();
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = current()[field].length - size; from > -size && !isOver(); from -= size) {
      const list = current()[field];
      if (list.length === 0) return;
      const start = Math.max(0, from);
      const left = [...list.slice(0, start), ...list.slice(start + size)];
      await attempt({ ...current(), [field]: left });
    }
  }
}

/** All pods at once, with what they do. */
async function dropPods(current: () => Plan, attempt: (plan: Plan) => Promise<boolean>): Promise<void> {
  if (current().pods.length > 0) await attempt({ ...current(), pods: [], podUses: [] });
}

async function dropClients(
  current: () => Plan,
  attempt: (plan: Plan) => Promise<boolean>,
  isOver: () => boolean,
): Promise<void> {
  for (const index of new Set(current().activities.map(({ client }) => client))) {
    if (isOver()) return;
    const activities = current().activities.filter(({ client }) => client !== index);
    if (activities.length < current().activities.length) await attempt({ ...current(), activities });
  }
}
