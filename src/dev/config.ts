import { z } from 'zod';
import { type Command, parseCommandLine } from '../operator/command-line.ts';
import type { Environment } from '../system/environment.ts';
import { DEFAULT_KUBE_PORT } from './kube-api.ts';

/** Port of the localhost API: what applications talk to. */
export const DEFAULT_PORT = 5625;

export const USAGE = `Usage: npm start -- [options]

Distributed locks on this machine: the operator and the sidecar in one process.

Options:
  --port N        Port on 127.0.0.1 and [::1], 0 for any free one (default ${DEFAULT_PORT}).
  --socket PATH   Also listen on this Unix socket.
  --apply FILE    Declare the locks and pools of this file of manifests; see examples/locks.yaml.
  --log LEVEL     debug, info, warn, error or silent (default warn).
  --help          Print this.

Without a cluster, on an embedded Kubernetes API:
  --kube-port N   Port of that API for kubectl, 0 for any free one (default ${DEFAULT_KUBE_PORT}).
  --write-kubeconfig PATH  Where to write the kubeconfig for it (default DIR/kubeconfig, or .lockkeeper/kubeconfig).
  --data DIR      Keep locks in DIR across restarts (default: in memory only). One process at a time.

On a Kubernetes cluster:
  --kubeconfig PATH  Keep locks in the cluster of this kubeconfig.
  --context NAME     Context of that kubeconfig (default: its current one).`;

const configSchema = z
  .strictObject({
    port: z.coerce.number().int().min(0).max(65_535).default(DEFAULT_PORT),
    socket: z.string().min(1).optional(),
    apply: z.string().min(1).optional(),
    log: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('warn'),
    help: z.boolean(),
    'kube-port': z.coerce.number().int().min(0).max(65_535).optional(),
    'write-kubeconfig': z.string().min(1).optional(),
    data: z.string().min(1).optional(),
    kubeconfig: z.string().min(1).optional(),
    context: z.string().min(1).optional(),
  })
  .superRefine((config, context) => {
    const problem = (path: keyof typeof config, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (config.context !== undefined && config.kubeconfig === undefined)
      problem('context', 'it names a context of --kubeconfig, which is not given');
    if (config.kubeconfig === undefined) return;
    if (config.data !== undefined)
      problem('data', 'with --kubeconfig locks are kept in the cluster; leave one of the two out');
    for (const option of ['kube-port', 'write-kubeconfig'] as const)
      if (config[option] !== undefined)
        problem(option, 'with --kubeconfig there is no embedded Kubernetes API; leave it out');
  });
export type DevConfig = Readonly<z.output<typeof configSchema>>;

export type DevCommand = Command<DevConfig>;

export function parseCommand(environment: Environment): DevCommand {
  const options = {
    port: { type: 'string' },
    socket: { type: 'string' },
    apply: { type: 'string' },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
    'kube-port': { type: 'string' },
    'write-kubeconfig': { type: 'string' },
    data: { type: 'string' },
    kubeconfig: { type: 'string' },
    context: { type: 'string' },
  } as const;
  return parseCommandLine(environment.arguments, options, configSchema);
}
