/** What the process was started with, read once. */

export interface Environment {
  /** The environment variables as they were when read. A name that was not set is undefined. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** The command line arguments after the script's own path. */
  readonly arguments: readonly string[];
}

/**
 * Takes a frozen copy; later changes to the process's environment do not show. Call it in `main.ts` and hand the parts on:
 * nothing below a process's configuration reads the environment.
 */
export function readEnvironment(source: Pick<NodeJS.Process, 'env' | 'argv'> = process): Environment {
  // Without a prototype: a variable nobody set is undefined, even one called `constructor`.
  const variables: Record<string, string | undefined> = Object.assign(Object.create(null), source.env);
  return Object.freeze({
    variables: Object.freeze(variables),
    arguments: Object.freeze(source.argv.slice(2)),
  });
}
