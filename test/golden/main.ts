/**
 * `npm run golden -- [--rewrite] [NAME ...]`: runs the scenarios whose names contain one of the given parts, or all. Without
 * `--rewrite` it shows how each differs from its file; with it the files become what the engine says now, for review as a diff.
 */
import { writeFileSync } from 'node:fs';
import { differenceOf } from './difference.ts';
import { ScenarioError } from './language/line.ts';
import { readScenarios } from './scenarios.ts';
import { transcriptOf } from './transcript.ts';

const rewrite = process.argv.includes('--rewrite');
const scenarios = readScenarios(process.argv.slice(2).filter((argument) => argument !== '--rewrite'));
let differing = 0;
for (const { name, path, text } of scenarios) {
  let transcript: string;
  try {
    transcript = transcriptOf(text);
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    console.error(`${name}: ${error.message}`);
    process.exitCode = 2;
    continue;
  }
  if (transcript === text) continue;
  differing++;
  if (rewrite) writeFileSync(path, transcript);
  else console.log(`${name}\n${differenceOf(text, transcript)}\n`);
}
console.log(`${scenarios.length} scenarios, ${differing} ${rewrite ? 'rewritten' : 'differ'}`);
if (scenarios.length === 0 || (differing > 0 && !rewrite)) process.exitCode = 1;
