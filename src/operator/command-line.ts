import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import type { z } from 'zod';

/** What the command line and the environment say, checked whole: every problem at once, each naming its option. */
export type Command<Config> =
  | { readonly run: 'serve'; readonly config: Readonly<Config> }
  | { readonly run: 'help' }
  | { readonly run: 'refuse'; readonly problems: readonly string[] };

/** Reads a command line. `defaults`: values of options that it does not name, before the schema's own. */
export function parseCommandLine<Config extends { readonly help: boolean }>(
  args: readonly string[],
  options: ParseArgsOptionsConfig,
  schema: z.ZodType<Config>,
  defaults: Readonly<Record<string, unknown>> = {},
): Command<Config> {
  let flags: Record<string, unknown>;
  try {
    ({ values: flags } = parseArgs({ args: [...args], options }));
  } catch (error) {
    return { run: 'refuse', problems: [error instanceof Error ? error.message : String(error)] };
  }
  const parsed = schema.safeParse({ ...defaults, ...flags });
  if (!parsed.success) return { run: 'refuse', problems: problemsOf(parsed.error) };
  if (parsed.data.help) return { run: 'help' };
  return { run: 'serve', config: Object.freeze(parsed.data) };
}

/** One line for each problem, beginning with its option. */
function problemsOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => `--${issue.path.join('.')}: ${issue.message}`);
}
