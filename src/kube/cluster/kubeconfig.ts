import { createHash } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { LockkeeperError } from '../../api/codes.ts';
import type { Clock } from '../../system/clock.ts';
import type { Access, Credentials, TlsSettings } from './credentials.ts';

/** Token files are reread once a minute by the library; certificates and CAs this often. */
const ACCESS_AGE_MAX_MS = 10_000;
/** Refused credentials are read anew from the file, but no more often than this. */
const RELOAD_GAP_MS = 2_000;
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export interface KubeconfigOptions {
  /**
   * A kubeconfig, or several separated like `PATH`, of which earlier ones win, as in `KUBECONFIG`. Default: `~/.kube/config` if
   * there is one, else the service account of the pod this process runs in.
   */
  readonly kubeconfigPath?: string | undefined;
  /** Which context of it. Default: its current one. */
  readonly context?: string | undefined;
  readonly clock: Clock;
}

/**
 * Reads a kubeconfig: client certificates, tokens, token files, exec plugins, OIDC. Loads the Kubernetes client library, which
 * takes some 60 MB: nothing else of this module's folder does.
 *
 * Rejects with a `LockkeeperError` (INVALID_ARGUMENT) that names the file and what is wrong. Not supported, and refused:
 * `proxy-url`.
 */
export async function kubeconfigCredentials(options: KubeconfigOptions): Promise<Credentials> {
  // Only here, so that a process on the embedded API never pays for it.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const load = () => loaded(new KubeConfig(), () => new KubeConfig(), options);
  return new KubeconfigCredentials(await load(), load, options.clock);
}

class KubeconfigCredentials implements Credentials {
  readonly server: string;
  #config: KubeConfig;
  readonly #load: () => Promise<KubeConfig>;
  readonly #clock: Clock;
  #access: Promise<Access> | undefined;
  #readAtMs = 0;
  #loadedAtMs: number;
  #stale = false;

  constructor(config: KubeConfig, load: () => Promise<KubeConfig>, clock: Clock) {
    this.#config = config;
    this.#load = load;
    this.#clock = clock;
    this.#loadedAtMs = clock.monotonicMs();
    this.server = (config.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
  }

  current(): Promise<Access> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#access === undefined || nowMs - this.#readAtMs >= ACCESS_AGE_MAX_MS) {
      this.#readAtMs = nowMs;
      const reading = this.#read(nowMs);
      this.#access = reading;
      reading.catch(() => {
        if (this.#access === reading) this.#access = undefined;
      });
    }
    return this.#access;
  }

  refused(): void {
    this.#access = undefined;
    this.#stale = true;
  }

  async #read(nowMs: number): Promise<Access> {
    if (this.#stale && nowMs - this.#loadedAtMs >= RELOAD_GAP_MS) {
      // A file that is being written is not worth giving up what worked until now.
      this.#config = await this.#load().catch(() => this.#config);
      this.#loadedAtMs = nowMs;
      this.#stale = false;
    }
    const request: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(request);
    return accessOf(request);
  }
}

async function loaded(config: KubeConfig, another: () => KubeConfig, options: KubeconfigOptions): Promise<KubeConfig> {
  const paths = (options.kubeconfigPath ?? (await homeKubeconfig()) ?? '')
    .split(delimiter)
    .filter((path) => path !== '');
  const source = paths.length === 0 ? 'the service account of this pod' : `the kubeconfig ${paths.join(delimiter)}`;
  try {
    if (paths.length === 0) {
      if (!(await exists(SERVICE_ACCOUNT_TOKEN)))
        throw new Error('name one: there is none in the home directory, and this process runs in no pod');
      config.loadFromCluster();
    }
    for (const path of paths) await addFile(config, another(), path);
    if (options.context !== undefined) config.setCurrentContext(options.context);
    assertUsable(config);
    return config;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new LockkeeperError('INVALID_ARGUMENT', `Cannot use ${source}: ${message}.`, {}, { cause: error });
  }
}

/** What is there already wins, as kubectl does it. */
async function addFile(config: KubeConfig, file: KubeConfig, path: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  file.loadFromString(text);
  file.makePathsAbsolute(dirname(resolve(path)));
  followTokenFiles(file, text, dirname(resolve(path)));
  const known = (list: readonly { readonly name: string }[], name: string) => list.some((each) => each.name === name);
  for (const cluster of file.clusters) {
    // The library refuses plain HTTP, which kubectl takes, unless nobody asks for certificates.
    const plain = cluster.server.startsWith('http:') ? { skipTLSVerify: true } : {};
    if (!known(config.clusters, cluster.name)) config.addCluster({ ...cluster, ...plain });
  }
  for (const user of file.users) if (!known(config.users, user.name)) config.addUser(user);
  for (const context of file.contexts) if (!known(config.contexts, context.name)) config.addContext(context);
  if (!config.currentContext && file.currentContext) config.setCurrentContext(file.currentContext);
}

/** The library knows token files of its own making, but not the `tokenFile` of a kubeconfig, which wins over a token there. */
function followTokenFiles(file: KubeConfig, text: string, directory: string): void {
  const users = (parse(text) as { readonly users?: readonly NamedUser[] }).users ?? [];
  for (const { name, user } of users) {
    if (typeof user?.tokenFile !== 'string' || user.tokenFile === '') continue;
    const tokenFile = resolve(directory, user.tokenFile);
    file.users = file.users.map((each) =>
      each.name === name ? { name, authProvider: { name: 'tokenFile', config: { tokenFile } } } : each,
    );
  }
}

interface NamedUser {
  readonly name?: string;
  readonly user?: { readonly tokenFile?: unknown } | null;
}

function assertUsable(config: KubeConfig): void {
  const context = config.getCurrentContext();
  if (!context) throw new Error('it names no current context; choose one');
  if (!config.contexts.some(({ name }) => name === context)) throw new Error(`it has no context "${context}"`);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`its context "${context}" names a cluster that is not there`);
  if (!/^https?:\/\/[^/]/.test(cluster.server)) throw new Error(`the server "${cluster.server}" is no http(s) URL`);
  if (cluster.proxyUrl) throw new Error('its cluster is reached through a proxy-url, which is not supported');
  if (config.getCurrentUser() === null) throw new Error(`its context "${context}" names a user that is not there`);
}

function accessOf({ headers, auth, ca, cert, key, passphrase, servername, rejectUnauthorized }: TlsRequest): Access {
  const flat: Record<string, string> = {};
  // Tokens are read from files as they are, with the line feed at their end.
  for (const [name, value] of Object.entries(headers ?? {})) flat[name.toLowerCase()] = String(value).trim();
  if (auth) flat['authorization'] = `Basic ${Buffer.from(auth).toString('base64')}`;
  const tls = { ca, cert, key, passphrase, servername, rejectUnauthorized } as TlsSettings;
  const hash = createHash('sha256');
  for (const value of Object.values(tls)) hash.update(value === undefined ? '\0' : `\x01${String(value)}`);
  return { headers: flat, tls, tlsFingerprint: hash.digest('base64') };
}

type TlsRequest = RequestOptions & Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'passphrase'>;

async function homeKubeconfig(): Promise<string | undefined> {
  const path = join(homedir(), '.kube', 'config');
  return (await exists(path)) ? path : undefined;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
