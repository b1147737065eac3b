/** A worker process of a batch: gets seeds, gives verdicts. */
import { makePlan } from './plan-maker.ts';
import { runPlan } from './run-plan.ts';
import { whenDone } from './when-done.ts';

process.on('message', (message: number | 'end') => {
  if (message === 'end') {
    process.disconnect();
    return;
  }
  whenDone(runPlan(makePlan(message)), ({ seed, violation, operations, digest, coverage }) => {
    const report = { seed, rule: violation?.rule, message: violation?.message ?? '', operations, digest, coverage };
    process.send?.(report);
  });
});
process.send?.('ready');
