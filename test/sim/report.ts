/** What a run says to people. */
import type { Coverage } from './coverage.ts';
import type { Outcome } from './run-plan.ts';
import type { Shrunk } from './shrink.ts';

/** Prints how often each rare path was reached; answers with those that never were. */
export function printCoverage(coverage: Coverage): readonly string[] {
  const { rows, missing } = coverage.table();
  const cells = rows.map(([path, count]) => `${path.padEnd(26)} ${String(count).padStart(8)}`);
  for (let row = 0; row < cells.length; row += 3) console.log(cells.slice(row, row + 3).join('   '));
  return missing;
}

export function printFailure({ violation, trace }: Outcome): void {
  if (violation === undefined) return;
  console.log(`broken: ${violation.rule}\n  ${violation.message}\nevents around it:`);
  for (const event of trace) console.log(`  ${event}`);
}

const SHOWN = 40;

export function printPlan({ plan, outcome, runs }: Shrunk): void {
  const { activities, podUses, events, weather } = plan;
  console.log(
    `shrunk in ${runs} runs to ${activities.length} activities, ${podUses.length} uses by pods, ${events.length} events, ${weather.length} spells of weather:`,
  );
  for (const spell of weather.slice(0, SHOWN)) console.log(`  weather ${JSON.stringify(spell)}`);
  for (const event of events.slice(0, SHOWN)) console.log(`  event ${JSON.stringify(event)}`);
  for (const use of podUses.slice(0, SHOWN)) console.log(`  use ${JSON.stringify(use)}`);
  for (const activity of activities.slice(0, SHOWN)) console.log(`  activity ${JSON.stringify(activity)}`);
  console.log(`  there it breaks: ${outcome.violation?.message}`);
  for (const event of outcome.trace.slice(-SHOWN)) console.log(`  ${event}`);
}
