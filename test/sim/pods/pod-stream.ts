/** A use that holds its lock as long as a local connection is open. */
import { LockkeeperError } from '../../../src/api/codes.ts';
import type { HoldEvent } from '../../../src/api/responses.ts';
import { whenDone } from '../when-done.ts';
import type { AppHold } from './app-hold.ts';
import { lockIdOf, PodFlow } from './pod-flow.ts';

export class PodStream extends PodFlow {
  override async run(): Promise<void> {
    const { pod, use } = this;
    const key = use.keys[0] as string;
    const hangUp = new AbortController();
    const waiting = this.hangUpSignal();
    let hold: AppHold | undefined;
    const sent = pod.now();
    await new Promise<void>((resolve) => {
      const end = () => {
        // A closed stream means lost: the application stops at once.
        if (hold !== undefined) this.drop(hold);
        resolve();
      };
      const onClosed = () => {
        if (hold !== undefined) this.drop(hold);
      };
      const connection = pod.connect(() => pod.toApp(end), hangUp.signal, onClosed);
      if (connection === undefined) return;
      waiting.addEventListener('abort', () => {
        if (hold !== undefined || this.isAbandoned) return;
        pod.simulation.coverage.hit('callHungUp');
        hangUp.abort();
      });
      const onEvent = (event: HoldEvent) => {
        if (this.isAbandoned) return;
        if (event.event === 'granted') {
          pod.simulation.coverage.hit('streamGranted');
          hold = this.take(event.hold, sent);
          whenDone(this.keep([hold]), () => {
            if (hold !== undefined) this.drop(hold);
            hangUp.abort();
          });
        } else if (event.event === 'lost') {
          pod.simulation.coverage.hit('streamLost');
          if (hold !== undefined) this.drop(hold);
        }
      };
      const { sidecar, hungUp, close } = connection;
      pod.toSidecar(sidecar, () => {
        const context = { signal: hungUp.signal, receivedAtMs: sidecar.process.monotonicMs() };
        const request = { ...this.terms, ...(use.named && { requestId: `${pod.name}.r${use.id}` }) };
        const read = async () => {
          for await (const event of sidecar.locks.hold(lockIdOf(key), request, context)) {
            if (sidecar.isOver) return;
            pod.toApp(() => onEvent(event));
          }
        };
        const closed = () => {
          if (close()) pod.toApp(end);
        };
        whenDone(read(), closed, (error: unknown) => {
          this.noteRefusal(LockkeeperError.from(error));
          closed();
        });
      });
    });
  }
}
