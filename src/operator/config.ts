import { hostname } from 'node:os';
import { z } from 'zod';
import type { Environment } from '../system/environment.ts';
import { type Command, parseCommandLine } from './command-line.ts';

/** Port for health and metrics, on the loopback addresses. */
export const DEFAULT_HEALTH_PORT = 5630;

export const USAGE = `Usage: npm run operator -- [options]

The Lockkeeper operator: lock server and controllers, for a Kubernetes cluster.

Options, each with the environment variable that it overrides:
  --kubeconfig PATH   KUBECONFIG           Default: ~/.kube/config if it is there, else the pod's service account.
  --context NAME      LOCKKEEPER_CONTEXT   Context of the kubeconfig (default: its current one).
  --namespace NAME    POD_NAMESPACE        Where the operator's own Leases are (default: the pod's, else lockkeeper-system).
  --pod-name NAME     POD_NAME             Name of this replica, a DNS label (default: this machine's name).
  --port N            LOCKKEEPER_PORT      /healthz, /readyz and /metrics on 127.0.0.1 and [::1], 0 for any free port (default ${DEFAULT_HEALTH_PORT}).
  --log LEVEL         LOCKKEEPER_LOG       debug, info, warn, error or silent (default info).
  --help                                   Print this.`;

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dnsLabel = z
  .string()
  .max(63)
  .regex(DNS_LABEL, 'must be a DNS label: lower case letters, digits and hyphens, 63 at most');

const configSchema = z.strictObject({
  kubeconfig: z.string().min(1).optional(),
  context: z.string().min(1).optional(),
  namespace: dnsLabel.optional(),
  'pod-name': dnsLabel,
  port: z.coerce.number().int().min(0).max(65_535),
  log: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
  help: z.boolean(),
});
export type OperatorConfig = z.output<typeof configSchema>;

export type OperatorCommand = Command<OperatorConfig>;

export function parseCommand({ arguments: args, variables }: Environment): OperatorCommand {
  const options = {
    kubeconfig: { type: 'string' },
    context: { type: 'string' },
    namespace: { type: 'string' },
    'pod-name': { type: 'string' },
    port: { type: 'string' },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  return parseCommandLine(args, options, configSchema, {
    kubeconfig: variables['KUBECONFIG'] || undefined,
    context: variables['LOCKKEEPER_CONTEXT'],
    namespace: variables['POD_NAMESPACE'],
    'pod-name': variables['POD_NAME'] ?? dnsLabelOf(hostname()),
    port: variables['LOCKKEEPER_PORT'] ?? DEFAULT_HEALTH_PORT,
    log: variables['LOCKKEEPER_LOG'] ?? 'info',
  });
}

/** A DNS label that resembles a name, for machines that are called what no pod could be. */
export function dnsLabelOf(name: string): string {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replaceAll(/^-+|-+$/g, '');
  return label === '' ? 'lockkeeper' : label;
}
