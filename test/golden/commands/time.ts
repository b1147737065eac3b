import { readDurationMs } from '../language/durations.ts';
import { durationText } from '../language/durations.ts';
import type { Line } from '../language/line.ts';
import type { Handlers } from './handler.ts';

/**
 * The owner's clock. `at` and `advance` only move it: nothing happens to the engine until it is told, as in life. `tick` is a
 * wake-up of the driver; `run UNTIL` lets the driver's timer wake it whenever it asked to be woken, and then moves to `UNTIL`.
 */
export const timeHandlers: Handlers = {
  at(world, line) {
    const nowMs = duration(line);
    line.end();
    if (nowMs < world.nowMs) line.fail(`time never goes back: it is ${durationText(world.nowMs)}`);
    world.nowMs = nowMs;
    return [];
  },

  advance(world, line) {
    world.nowMs += duration(line);
    line.end();
    return [];
  },

  tick(world, line) {
    const lateMs = line.durationMs('late') ?? 0;
    line.end();
    return world.apply({ kind: 'tick', lateMs });
  },

  run(world, line) {
    const untilMs = duration(line);
    line.end();
    const lines: string[] = [];
    for (let wakeAtMs = world.engine.wakeAtMs; wakeAtMs <= untilMs; wakeAtMs = world.engine.wakeAtMs) {
      world.nowMs = Math.max(world.nowMs, wakeAtMs);
      lines.push(`at     ${durationText(world.nowMs)}`, ...world.apply({ kind: 'tick', lateMs: 0 }));
      if (lines.length > 200) line.fail('the engine asks to be woken again and again');
    }
    world.nowMs = untilMs;
    return lines.length === 0 ? ['nothing'] : lines;
  },
};

function duration(line: Line): number {
  return readDurationMs(line.word('time')) ?? line.fail('write the time like 250ms, 15s or 2m');
}
