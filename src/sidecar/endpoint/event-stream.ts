import type { ServerResponse } from 'node:http';
import { LockkeeperError } from '../../api/codes.ts';
import type { HoldEvent } from '../../api/responses.ts';

/**
 * Writes events as lines of JSON (application/x-ndjson), each as soon as it comes. No event is asked for while the caller
 * does not read the ones it has, so a slow caller costs one buffer. Ends with the events, or with the connection; the
 * events are told (`return`) in both cases. Never rejects.
 */
export async function writeEvents(
  response: ServerResponse,
  events: AsyncIterator<HoldEvent>,
  first: HoldEvent,
): Promise<void> {
  response.writeHead(200, HEADERS);
  try {
    for (
      let event: HoldEvent | undefined = first;
      event !== undefined && !response.destroyed;
      event = await nextOf(events)
    ) {
      if (!response.write(`${JSON.stringify(event)}\n`)) await drained(response);
    }
    await events.return?.();
  } catch (error) {
    if (!response.destroyed) response.write(`${JSON.stringify(lostTo(error))}\n`);
  }
  response.end();
}

/** Proxies are told not to collect the lines: each one matters at the moment it is written. */
const HEADERS = { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store', 'x-accel-buffering': 'no' };

async function nextOf(events: AsyncIterator<HoldEvent>): Promise<HoldEvent | undefined> {
  const next = await events.next();
  return next.done === true ? undefined : next.value;
}

/** Settles when the caller has read enough, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const settle = () => {
      response.off('drain', settle);
      response.off('close', settle);
      resolve();
    };
    response.on('drain', settle);
    response.on('close', settle);
  });
}

/** The stream has begun, so an error can only be its last event. */
function lostTo(error: unknown): HoldEvent {
  const { code, message, details } = LockkeeperError.from(error);
  return { event: 'lost', code, message, details };
}
