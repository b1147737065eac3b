import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Environment } from '../system/environment.ts';
import { DEFAULT_KUBE_PORT } from './kube-api.ts';

/** Port of the localhost API: what applications talk to. */
export const DEFAULT_PORT = 5625;

export const USAGE = `Usage: npm start -- [options]

Distributed locks on this machine: the operator and the sidecar in one process.

Options:
  --port N        Port on 127.0.0.1 and [::1], 0 for any free one (default ${DEFAULT_PORT}).
  --socket PATH   Also listen on this Unix socket.
  --kube-port N   Port of the embedded Kubernetes API for kubectl, 0 for any free one (default ${DEFAULT_KUBE_PORT}).
  --write-kubeconfig PATH  Where to write the kubeconfig for it (default DIR/kubeconfig, or .lockkeeper/kubeconfig).
  --data DIR      Keep locks in DIR across restarts (default: in memory only). One process at a time.
  --apply FILE    Declare the locks and pools of this file of manifests; see examples/locks.yaml.
  --log LEVEL     debug, info, warn, error or silent (default warn).
  --help          Print this.`;

const configSchema = z.strictObject({
  port: z.coerce.number().int().min(0).max(65_535),
  'kube-port': z.coerce.number().int().min(0).max(65_535),
  socket: z.string().min(1).optional(),
  'write-kubeconfig': z.string().min(1).optional(),
  data: z.string().min(1).optional(),
  apply: z.string().min(1).optional(),
  log: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
  help: z.boolean(),
});
export type DevConfig = z.output<typeof configSchema>;

/** What the command line says, checked whole: every problem at once, each naming its option. */
export type DevCommand =
  | { readonly run: 'serve'; readonly config: DevConfig }
  | { readonly run: 'help' }
  | { readonly run: 'refuse'; readonly problems: readonly string[] };

export function parseCommand(environment: Environment): DevCommand {
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({
      args: [...environment.arguments],
      options: {
        port: { type: 'string', default: String(DEFAULT_PORT) },
        'kube-port': { type: 'string', default: String(DEFAULT_KUBE_PORT) },
        socket: { type: 'string' },
        'write-kubeconfig': { type: 'string' },
        data: { type: 'string' },
        apply: { type: 'string' },
        log: { type: 'string', default: 'warn' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    return { run: 'refuse', problems: [error instanceof Error ? error.message : String(error)] };
  }
  const parsed = configSchema.safeParse(values);
  if (!parsed.success) {
    return {
      run: 'refuse',
      problems: parsed.error.issues.map((issue) => `--${issue.path.join('.')}: ${issue.message}`),
    };
  }
  if (parsed.data.help) return { run: 'help' };
  return { run: 'serve', config: Object.freeze(parsed.data) };
}
