/**
 * Goal: the API server and etcd may die under a running operator, and etcd may come back as it was some time ago. Nothing is lost
 * by the first two. A restored backup
 * has lost records: a running operator writes them again; a new one cannot, so their holders are told, and tokens still only grow. Method: 100 clients
 * fight over 12 locks meanwhile; everything is judged afterwards.
 *
 * `KILL_SEED=N` lets the clients draw the same turns again.
 */
import { expect, it } from '@jest/globals';
import type { EtcdSnapshot } from '../control-plane/control-plane.ts';
import { describeOnOwnControlPlane } from '../own-control-plane.ts';
import { type Excuses, Scene } from './scene.ts';

const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const PATIENCE_MS = 240_000;
/** An operator that is cut off for longer than it lives without its API server answers when it has taken its shards again. */
const excuses: Excuses = { destroyedAtMs: [], answersLost: true, apiServerKilled: true, waitBoundMs: 40_000 };

function open(): Promise<Scene> {
  return Scene.open({ seed: SEED, clients: 100, locks: 12 });
}

/** A snapshot of etcd while locks change hands, and a hold that was taken after it, which no backup knows of. */
async function snapshotThenHold(
  scene: Scene,
): Promise<{ readonly snapshot: EtcdSnapshot; readonly witness: Awaited<ReturnType<Scene['hold']>> }> {
  await scene.grants(50, 0);
  const snapshot = scene.controlPlane.snapshot();
  await scene.grants(100, performance.now());
  return { snapshot, witness: await scene.hold('witness', 60_000) };
}

/** Puts etcd back. Answers a moment after the last request of the future that is lost and before the first one after it. */
async function restore({ controlPlane }: Scene, snapshot: EtcdSnapshot): Promise<number> {
  await controlPlane.components.apiServer.kill();
  const betweenMs = performance.now();
  await controlPlane.restore(snapshot);
  return betweenMs;
}

describeOnOwnControlPlane(`a control plane that fails (KILL_SEED=${SEED})`, () => {
  it(
    'the API server and etcd are killed and started again',
    async () => {
      await using scene = await open();
      const { apiServer, etcd } = scene.controlPlane.components;
      await scene.grants(50, 0);
      const pauses: string[] = [];
      for (const component of [apiServer, etcd, apiServer]) {
        const killedMs = performance.now();
        await component.kill();
        await component.start();
        const servesMs = performance.now();
        await scene.grants(1, servesMs);
        const pauseMs = (scene.history.grantsSince(servesMs)[0]?.endedMs ?? 0) - killedMs;
        pauses.push(
          `${component.name} serves again after ${((servesMs - killedMs) / 1_000).toFixed(1)} s, the first grant comes after ${(pauseMs / 1_000).toFixed(1)} s`,
        );
        await scene.grants(50, servesMs);
      }
      const violations = await scene.judge(excuses);
      console.log(pauses.join('\n'));
      expect(violations).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'etcd is restored from an older snapshot while the operator runs: it knows what was lost and writes it again',
    async () => {
      await using scene = await open();
      const { snapshot, witness } = await snapshotThenHold(scene);
      const restoredMs = await restore(scene, snapshot);
      await scene.grants(50, restoredMs);
      const pauseMs = (scene.history.grantsSince(restoredMs)[0]?.endedMs ?? 0) - restoredMs;
      const renewed = await scene.again('renew', witness);
      expect(renewed.answer).toMatchObject({ kind: 'hold', token: witness.answer.token });
      expect((await scene.again('release', witness)).answer).toEqual({ kind: 'released' });
      const violations = await scene.judge({ ...excuses, restoredAtMs: [restoredMs] });
      console.log(`the first grant comes ${(pauseMs / 1_000).toFixed(1)} s after the API server ended for the restore`);
      expect(violations).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'etcd is restored from an older snapshot while no operator runs: tokens grow all the same, and holders are told',
    async () => {
      await using scene = await open();
      const { snapshot, witness } = await snapshotThenHold(scene);
      const killedMs = performance.now();
      await scene.pair.kill();
      const restoredMs = await restore(scene, snapshot);
      await scene.resume(killedMs);
      await scene.grants(50, restoredMs);
      // Its record was made after the snapshot: it is gone, and whoever renews the hold hears so.
      expect((await scene.again('renew', witness)).answer).toMatchObject({ kind: 'refused', code: 'NOT_HELD' });
      const next = await scene.hold('witness', 1_000);
      expect(next.answer.token).toBeGreaterThan(witness.answer.token);
      await scene.again('release', next);
      // Nobody knows of these holds any more: what their tokens protect is all that is protected.
      const violations = await scene.judge({ ...excuses, destroyedAtMs: [killedMs], restoredAtMs: [restoredMs] });
      expect(violations).toEqual([]);
    },
    PATIENCE_MS,
  );
});
