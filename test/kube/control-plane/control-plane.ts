/** A real Kubernetes control plane for tests: etcd and kube-apiserver as processes of this machine, on 127.0.0.1 alone. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditLog } from './audit-log.ts';
import { auditPolicy } from './audit-policy.ts';
import { type Say, findBinaries } from './binaries.ts';
import { type Identity, createAuthority, createClient, createServing, createSigningKeys } from './certificates.ts';
import { apiServerArguments, etcdArguments } from './commands.ts';
import { Component, PortTakenError } from './component.ts';
import { HttpClient, accessFromKubeconfig } from './http.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { freePort } from './ports.ts';
import { type ControlPlaneState, readState, writeState } from './state.ts';
import { watchOver } from './watchdog.ts';

export interface ControlPlaneOptions {
  /** Where its files go. Default: a new folder, which goes with it. */
  readonly directory?: string;
  /** Whether it outlives this process. Default false: it is killed when this process dies, however that happens. */
  readonly inBackground?: boolean;
  /** Is told which programs are used, and how long it took to get them. Default: nobody is. */
  readonly say?: Say;
}

/** The state of etcd at one moment, as a folder. */
export interface EtcdSnapshot {
  readonly directory: string;
}

/**
 * Starts etcd and kube-apiserver and resolves once requests are answered, RBAC's own rules included: after about 4 s.
 * The default user of its kubeconfig may do everything. No custom resource is defined yet.
 *
 * @throws Error if there are no binaries, or a program does not come up; nothing is left running.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await findBinaries(options.say ?? (() => {}));
  for (let attempt = 1; ; attempt += 1) {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'lockkeeper-kube-'));
    const [clientPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
    const state: ControlPlaneState = {
      version: binaries['kube-apiserver'].version,
      server: `https://127.0.0.1:${port}`,
      etcd: { ...binaries.etcd, clientPort, peerPort },
      apiServer: { path: binaries['kube-apiserver'].path, port },
      kubectl: binaries.kubectl.path,
      dataDirectory: newDataDirectory(directory),
    };
    mkdirSync(directory, { recursive: true });
    if (options.inBackground !== true) watchOver(directory, state.dataDirectory);
    await writeFiles(directory, state);
    writeState(directory, state);
    const controlPlane = new ControlPlane(directory, state);
    try {
      await controlPlane.components.etcd.start();
      await controlPlane.components.apiServer.start();
      return controlPlane;
    } catch (error) {
      await controlPlane[Symbol.asyncDispose]();
      // Another program took a port after it was found free.
      if (!(error instanceof PortTakenError) || attempt === 3) throw error;
    }
  }
}

/** A control plane that another process started in `directory`, running or not. Undefined if there is none. */
export function attachControlPlane(directory: string): ControlPlane | undefined {
  const state = readState(directory);
  return state && new ControlPlane(directory, state);
}

export class ControlPlane implements AsyncDisposable {
  readonly directory: string;
  readonly kubeconfigPath: string;
  /** URL of the API server. */
  readonly server: string;
  /** For example `v1.36.3`. */
  readonly version: string;
  readonly components: { readonly etcd: Component; readonly apiServer: Component };
  readonly auditLog: AuditLog;
  /** Calls as the user who may do everything. */
  readonly http: HttpClient;
  readonly #state: ControlPlaneState;
  #snapshots = 0;
  #users = 0;

  constructor(directory: string, state: ControlPlaneState) {
    this.directory = directory;
    this.kubeconfigPath = join(directory, 'kubeconfig');
    this.server = state.server;
    this.version = state.version;
    this.auditLog = new AuditLog(join(directory, 'audit.log'));
    this.http = new HttpClient(accessFromKubeconfig(this.kubeconfigPath));
    this.#state = state;
    this.components = { etcd: this.#etcd(), apiServer: this.#apiServer() };
  }

  /** Runs `kubectl` with the control plane's kubeconfig to its end. `input` goes to its standard input. */
  kubectl(words: readonly string[], input = ''): Promise<KubectlAnswer> {
    return new Promise((resolve) => {
      const env = { ...process.env, KUBECONFIG: this.kubeconfigPath, HOME: this.directory };
      const child = execFile(this.#state.kubectl, [...words], { env, maxBuffer: 64 << 20 }, (error, out, errorText) => {
        resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), out, error: errorText });
      });
      child.stdin?.on('error', () => {});
      child.stdin?.end(input);
    });
  }

  /** A kubeconfig for a user of these groups, who may do nothing but what RBAC gives. */
  async kubeconfigForUser(identity: Identity, namespace?: string): Promise<string> {
    const file = (name: string) => readFileSync(join(this.directory, name), 'utf8');
    const authority = { certificate: file('authority.crt'), key: file('authority.key') };
    this.#users += 1;
    const path = join(this.directory, `kubeconfig-${process.pid}-${this.#users}`);
    const client = await createClient(authority, identity);
    writeKubeconfig(path, { server: this.server, authority: authority.certificate, ...client }, namespace);
    return path;
  }

  /**
   * Copies what etcd has stored at one moment. Its time stands still while that lasts, some milliseconds; nobody is
   * disconnected. A copy is what a killed etcd would find on its disk.
   */
  snapshot(): EtcdSnapshot {
    const { etcd } = this.components;
    this.#snapshots += 1;
    const directory = join(this.directory, `snapshot-${process.pid}-${this.#snapshots}`);
    etcd.pause();
    try {
      cpSync(this.#state.dataDirectory, directory, { recursive: true });
    } finally {
      etcd.resume();
    }
    return { directory };
  }

  /**
   * Puts etcd back to a snapshot, as an administrator would restore a backup: resourceVersions go backwards. The API
   * server is restarted around it, unless `keepApiServer`: then it goes on with caches that are newer than its storage.
   */
  async restore(snapshot: EtcdSnapshot, { keepApiServer = false } = {}): Promise<void> {
    const { etcd, apiServer } = this.components;
    if (!keepApiServer) await apiServer.kill();
    await etcd.kill();
    rmSync(this.#state.dataDirectory, { recursive: true, force: true });
    cpSync(snapshot.directory, this.#state.dataDirectory, { recursive: true });
    await etcd.start();
    if (!keepApiServer) await apiServer.start();
  }

  /** Kills both programs and removes everything that was made, the folder too if nothing else is in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.http[Symbol.dispose]();
    await this.components.apiServer.kill();
    await this.components.etcd.kill();
    rmSync(this.#state.dataDirectory, { recursive: true, force: true });
    removeFiles(this.directory);
  }

  #etcd(): Component {
    const { path, clientPort } = this.#state.etcd;
    const isReady = async () =>
      (await fetch(`http://127.0.0.1:${clientPort}/health`).catch(() => undefined))?.ok === true;
    return new Component({
      name: 'etcd',
      program: path,
      arguments: etcdArguments(this.#state),
      directory: this.directory,
      isReady,
    });
  }

  #apiServer(): Component {
    const isReady = async () => {
      const answer = await this.http.call('GET', '/readyz').catch(() => undefined);
      return answer?.status === 200;
    };
    return new Component({
      name: 'kube-apiserver',
      program: this.#state.apiServer.path,
      arguments: apiServerArguments(this.directory, this.#state),
      directory: this.directory,
      isReady,
    });
  }
}

export interface KubectlAnswer {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

const memoryFileSystem = '/dev/shm';

function newDataDirectory(directory: string): string {
  return existsSync(memoryFileSystem)
    ? mkdtempSync(join(memoryFileSystem, 'lockkeeper-etcd-'))
    : join(directory, 'etcd-data');
}

async function writeFiles(directory: string, { server }: ControlPlaneState): Promise<void> {
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 });
  const authority = await createAuthority();
  const serving = await createServing(authority);
  const admin = await createClient(authority, { user: 'admin', groups: ['system:masters'] });
  const serviceAccounts = await createSigningKeys();
  write('authority.crt', authority.certificate);
  write('authority.key', authority.key);
  write('serving.crt', serving.certificate);
  write('serving.key', serving.key);
  write('service-accounts.pub', serviceAccounts.publicKey);
  write('service-accounts.key', serviceAccounts.privateKey);
  write('audit-policy.yaml', auditPolicy());
  writeKubeconfig(join(directory, 'kubeconfig'), { server, authority: authority.certificate, ...admin });
}

/** Names of everything that a control plane puts into its folder. */
const ownFiles =
  /^(authority|serving|service-accounts)\.|^audit|^kubeconfig|^snapshot-|^state\.json$|^(etcd|kube-apiserver)\.(log|pid)$|^etcd-data$|^\.kube$/;

function removeFiles(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    if (ownFiles.test(name)) rmSync(join(directory, name), { recursive: true, force: true });
  }
  if (readdirSync(directory).length === 0) rmSync(directory, { recursive: true });
}
