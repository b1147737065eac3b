/** A use of several locks, taken together or not at all. */
import { whenDone } from '../when-done.ts';
import { PodFlow, lockIdOf } from './pod-flow.ts';
import { PodStream } from './pod-stream.ts';
import type { Pod } from './pod.ts';
import type { PodUse } from '../plan.ts';

class PodAll extends PodFlow {
  override async run(): Promise<void> {
    const { pod, use } = this;
    const { coverage } = pod.simulation;
    const { priority: _, maxHoldMs: __, ...terms } = this.terms;
    const request = { ...terms, ids: use.keys.map(lockIdOf) };
    let holds;
    try {
      const { sent, answer } = await pod.call(
        (locks, context) => locks.acquireAll(request, context),
        this.hangUpSignal(),
      );
      if (this.isAbandoned) return;
      coverage.hit('allTaken');
      holds = answer.holds.map((hold) => this.take(hold, sent));
    } catch (error) {
      coverage.hit('allRefused');
      this.noteRefusal(error);
      return;
    }
    await this.keep(holds);
    if (use.end === 'abandon' || this.isAbandoned) return;
    for (const hold of holds) await this.release(hold);
  }
}

/** Starts one use; looks around in between, as dashboards do. */
export function runPodUse(pod: Pod, use: PodUse): void {
  if (pod.sidecar === undefined) return;
  const kinds = { plain: PodFlow, auto: PodFlow, stream: PodStream, all: PodAll };
  const flow = new kinds[use.kind](pod, use);
  const { flows, coverage } = pod.simulation;
  flows.add(flow);
  whenDone(flow.run(), () => flows.delete(flow));
  const key = use.keys[0] as string;
  if (use.id % 25 === 0)
    whenDone(
      pod.call((locks, context) => locks.inspect(lockIdOf(key), undefined, context)),
      () => coverage.hit('inspectedByCall'),
      () => {},
    );
  if (use.id % 50 === 1)
    whenDone(
      pod.call((locks, context) =>
        locks.list({ prefix: '', limit: 10, continue: undefined, namespace: undefined }, context),
      ),
      () => coverage.hit('listedByCall'),
      () => {},
    );
}
