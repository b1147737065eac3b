import type { Handlers } from './commands/handler.ts';
import { ownerHandlers } from './commands/owner.ts';
import { ruleHandlers } from './commands/rules.ts';
import { operate, sessionHandlers } from './commands/sessions.ts';
import { storeHandlers } from './commands/store.ts';
import { timeHandlers } from './commands/time.ts';
import { Line } from './language/line.ts';
import { World } from './language/world.ts';

const handlers: Handlers = {
  ...ownerHandlers,
  ...ruleHandlers,
  ...sessionHandlers,
  ...storeHandlers,
  ...timeHandlers,
};

/**
 * Runs a scenario and returns its transcript: the same comments, blank lines and commands, with what each command led to,
 * indented, below it. Indented lines of the input are an earlier run's and are dropped, so a transcript is its own scenario.
 */
export function transcriptOf(scenario: string): string {
  const world = new World();
  const lines: string[] = [];
  for (const [index, text] of scenario.replace(/\n+$/, '').split('\n').entries()) {
    if (text.startsWith(' ')) continue;
    lines.push(text.trimEnd());
    if (text.trim() === '' || text.startsWith('#')) continue;
    lines.push(...run(world, new Line(text, index + 1)).map((line) => `  ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

function run(world: World, line: Line): string[] {
  const verb = line.word('command');
  if (verb === 'repeat') return repeat(world, line);
  if (Object.hasOwn(handlers, verb)) return (handlers[verb] as Handlers[string])(world, line);
  return operate(world, line, verb);
}

/** `repeat 3 COMMAND`: runs it with every `#` replaced by 1, 2, 3, and prints what the last one led to. */
function repeat(world: World, line: Line): string[] {
  const [, times = '', command = ''] =
    /^repeat (\d+) (.+)$/.exec(line.text) ?? line.fail('write it like repeat 3 COMMAND');
  let last: string[] = [];
  for (let round = 1; round <= Number(times); round++)
    last = run(world, new Line(command.replaceAll('#', String(round)), line.number));
  return [`${times} times, the last time:`, ...last];
}
