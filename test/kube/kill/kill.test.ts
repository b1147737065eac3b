/**
 * Goal: the operator may die at any moment. Method: 200 clients fight over 20 locks on a real API server while the operator is
 * killed with -9 and started again, at points that are drawn from a seed and then verified: before the PUT of a grant reaches
 * the API server, while the API server has it, and after its answer and before the client has its own. Afterwards the logs of
 * clients, proxy and API server are judged.
 *
 * `KILL_ROUNDS=30 npm run jest -- --selectProjects kube --testPathPatterns kill/kill` is the long run; `KILL_SEED=N` draws the same points again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { seededRandom } from '../../../src/system/random.ts';
import { type PlannedKill, planKills, type PointClass, reachedPoint } from './kill-plan.ts';
import type { ProxyRequest } from '../fault-proxy/faults.ts';
import { describeOnOwnControlPlane } from '../own-control-plane.ts';
import { Scene } from './scene.ts';
import type { SeenWrite } from './attempt-log.ts';
import { quantile } from '../../bench/quantile.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 5);
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(Math.random() * 1_000_000));
/** Of each class in thirty rounds five; of fewer, what five in thirty comes to. */
const WANTED = Math.max(1, Math.floor(ROUNDS / 6));

describeOnOwnControlPlane('an operator that is killed', () => {
  it(
    `keeps every promise over ${ROUNDS} kills (KILL_SEED=${SEED} KILL_ROUNDS=${ROUNDS})`,
    async () => {
      await using scene = await Scene.open({ seed: SEED });
      const reached: Record<PointClass, number> = {
        'before the PUT': 0,
        'PUT in flight': 0,
        'before the reply': 0,
        anywhere: 0,
      };
      const pauses: Awaited<ReturnType<Scene['resume']>>[] = [];
      let aliveMs = 0;
      for (const planned of planKills(seededRandom(SEED), ROUNDS)) {
        await scene.grants(planned.grantsBefore, aliveMs);
        const { killedMs, write } = await killAt(scene, planned);
        reached[reachedPoint(write, killedMs, scene.history)] += 1;
        scene.proxy.clear();
        pauses.push(await scene.resume(killedMs));
        aliveMs = performance.now();
      }
      await scene.grants(100, aliveMs);
      const violations = await scene.judge();
      console.log(report(scene, reached, pauses));
      expect(violations).toEqual([]);
      const { 'before the PUT': before, 'PUT in flight': inFlight, 'before the reply': after } = reached;
      expect(Math.min(before, inFlight, after)).toBeGreaterThanOrEqual(WANTED);
    },
    240_000 + ROUNDS * 120_000,
  );
});

/** Kills the operator where the plan says. `write`: the one it waited for. */
async function killAt(
  scene: Scene,
  { point, skip, delayMs }: PlannedKill,
): Promise<{ readonly killedMs: number; readonly write: SeenWrite | undefined }> {
  if (point === 'anywhere') {
    await pause(delayMs);
    const killedMs = performance.now();
    await scene.pair.kill();
    return { killedMs, write: undefined };
  }
  const isGrant = {
    where: (request: ProxyRequest) => (scene.attempts.of(request)?.granted.length ?? 0) > 0,
  };
  const at = point === 'beforePut' ? 'beforeForwarding' : point === 'putInFlight' ? 'inFlight' : 'beforeAnswer';
  const held = scene.proxy.hold(isGrant, at, { skip });
  const request = await reachedWithin(held.reached, point);
  if (point === 'answerDelivered') {
    held.release();
    await pause(delayMs);
  }
  const killedMs = performance.now();
  scene.pair.killNow();
  const write = scene.attempts.of(request);
  await scene.pair.kill();
  // What was not passed on never is; what was has landed or will.
  held.drop();
  return { killedMs, write };
}

/** A fleet that is at work writes grants all the time. */
async function reachedWithin(reached: Promise<ProxyRequest>, point: string): Promise<ProxyRequest> {
  let timer: NodeJS.Timeout | undefined;
  const never = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No write of a grant came in 60 s, to be held at ${point}.`)), 60_000);
  });
  try {
    return await Promise.race([reached, never]);
  } finally {
    clearTimeout(timer);
  }
}

function report(
  scene: Scene,
  reached: Readonly<Record<PointClass, number>>,
  pauses: readonly { readonly servesMs: number; readonly grantsMs: number }[],
): string {
  const points = Object.entries(reached).map(([point, count]) => `${point} ${count}`);
  const grants = scene.history.grantsSince(0).length;
  const inSeconds = (values: readonly number[]) =>
    `p50 ${(quantile(values, 0.5) / 1_000).toFixed(1)} s, at most ${(Math.max(...values) / 1_000).toFixed(1)} s`;
  return [
    `${pauses.length} kills: ${points.join(', ')}; ${grants} grants in ${scene.history.calls.length} calls`,
    `from a kill until the next operator serves: ${inSeconds(pauses.map(({ servesMs }) => servesMs))}`,
    `from a kill until the next grant: ${inSeconds(pauses.map(({ grantsMs }) => grantsMs))}`,
  ].join('\n');
}
