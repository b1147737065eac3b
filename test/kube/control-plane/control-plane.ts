/** A real Kubernetes control plane for tests: etcd and kube-apiserver as processes of this machine, on 127.0.0.1 alone. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditLog } from './audit-log.ts';
import { type Binaries, type Say, findBinaries } from './binaries.ts';
import type { Identity } from './certificates.ts';
import { apiServerArguments, etcdArguments } from './commands.ts';
import { Component, PortTakenError } from './component.ts';
import { newDataDirectory, removeFiles, writeFiles } from './files.ts';
import { freePort } from './ports.ts';
import { type ControlPlaneState, type OwnPrograms, readState, writeState } from './state.ts';
import { TestCluster } from './test-cluster.ts';
import { type ServiceAccount, kubeconfigForServiceAccount, kubeconfigForUser } from './users.ts';
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

interface Components {
  readonly etcd: Component;
  readonly apiServer: Component;
}

/** Another program may take a port after it was found free. */
const portAttempts = 3;

/**
 * Starts etcd and kube-apiserver and resolves once requests are answered, RBAC's own rules included: after about 4 s.
 * The default user of its kubeconfig may do everything. No custom resource is defined yet.
 *
 * @throws Error if there are no binaries, or a program does not come up; nothing is left running.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await findBinaries(options.say ?? (() => {}));
  for (let attempt = 1; ; attempt += 1) {
    const controlPlane = await prepared(binaries, options);
    try {
      await controlPlane.components.etcd.start();
      await controlPlane.components.apiServer.start();
      return controlPlane;
    } catch (error) {
      await controlPlane[Symbol.asyncDispose]();
      if (!(error instanceof PortTakenError) || attempt === portAttempts) throw error;
    }
  }
}

/** Everything on disk, nothing running. */
async function prepared(binaries: Binaries, { directory: given, inBackground = false }: ControlPlaneOptions) {
  const directory = given ?? mkdtempSync(join(tmpdir(), 'lockkeeper-kube-'));
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const own: OwnPrograms = {
    etcd: { ...binaries.etcd, clientPort: await freePort(), peerPort: await freePort() },
    apiServer: { path: binaries['kube-apiserver'].path, port },
    dataDirectory: newDataDirectory(directory),
  };
  // A folder that was given may hold more than ours.
  const removed = given === undefined ? [directory] : [];
  const watchdog = inBackground ? undefined : watchOver(directory, own.dataDirectory, removed);
  const kubeconfigPath = await writeFiles(directory, `https://127.0.0.1:${port}`);
  const { version } = binaries['kube-apiserver'];
  const state: ControlPlaneState = { version, kubeconfigPath, kubectl: binaries.kubectl.path, own };
  writeState(directory, state);
  return new ControlPlane(directory, state, watchdog);
}

/** A control plane that another process started in `directory`, running or not. Undefined if there is none. */
export function attachControlPlane(directory: string): ControlPlane | undefined {
  const state = readState(directory);
  return state && new ControlPlane(directory, state);
}

export class ControlPlane extends TestCluster implements AsyncDisposable {
  readonly directory: string;
  /** For example `v1.36.3`. */
  readonly version: string;
  /** Whether it is ours to kill; if not, whatever below says so throws. */
  readonly isOwn: boolean;
  readonly #own: OwnPrograms | undefined;
  readonly #components: Components | undefined;
  readonly #auditLog: AuditLog;
  readonly #watchdog: Disposable | undefined;
  #snapshots = 0;

  constructor(directory: string, state: ControlPlaneState, watchdog?: Disposable) {
    const { kubeconfigPath, kubectl } = state;
    // Another cluster's user may need the programs and files of the real home.
    super({ kubeconfigPath, kubectl, ...(state.own && { home: directory }) });
    this.#watchdog = watchdog;
    this.directory = directory;
    this.version = state.version;
    this.isOwn = state.own !== undefined;
    this.#own = state.own;
    this.#components = state.own && { etcd: this.#etcd(state.own), apiServer: this.#apiServer(state.own) };
    this.#auditLog = new AuditLog(join(directory, 'audit.log'));
  }

  /** Throws if the cluster is not ours. */
  get components(): Components {
    return this.#must(this.#components);
  }

  /** Throws if the cluster is not ours. */
  get auditLog(): AuditLog {
    this.#must(this.#own);
    return this.#auditLog;
  }

  /** A kubeconfig for a user of these groups, who may do nothing but what RBAC gives. Throws if the cluster is not ours. */
  kubeconfigForUser(identity: Identity): Promise<string> {
    this.#must(this.#own);
    return kubeconfigForUser(this.directory, this.server, identity);
  }

  /** Creates a service account with these rights and gives the path of a kubeconfig with a token of an hour. */
  kubeconfigForServiceAccount(account: ServiceAccount): Promise<string> {
    return kubeconfigForServiceAccount(this, this.directory, account);
  }

  /**
   * Copies what etcd has stored at one moment. Its time stands still while that lasts, some milliseconds; nobody is
   * disconnected. A copy is what a killed etcd would find on its disk. Throws if the cluster is not ours.
   */
  snapshot(): EtcdSnapshot {
    const { etcd } = this.components;
    this.#snapshots += 1;
    const directory = join(this.directory, `snapshot-${process.pid}-${this.#snapshots}`);
    etcd.pause();
    try {
      cpSync(this.#must(this.#own).dataDirectory, directory, { recursive: true });
    } finally {
      etcd.resume();
    }
    return { directory };
  }

  /**
   * Puts etcd back to a snapshot, as an administrator would restore a backup: resourceVersions go backwards. The API
   * server is restarted around it, unless `keepApiServer`: then it goes on with caches that are newer than its storage,
   * and its lists may tell of the lost future for long.
   * Throws if the cluster is not ours.
   */
  async restore(snapshot: EtcdSnapshot, { keepApiServer = false } = {}): Promise<void> {
    const { dataDirectory } = this.#must(this.#own);
    const { etcd, apiServer } = this.components;
    if (!keepApiServer) await apiServer.kill();
    await etcd.kill();
    rmSync(dataDirectory, { recursive: true, force: true });
    cpSync(snapshot.directory, dataDirectory, { recursive: true });
    await etcd.start();
    if (!keepApiServer) await apiServer.start();
  }

  /** Kills both programs and removes everything that was made, the folder too if nothing else is in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.http[Symbol.dispose]();
    await this.#components?.apiServer.kill();
    await this.#components?.etcd.kill();
    if (this.#own) rmSync(this.#own.dataDirectory, { recursive: true, force: true });
    removeFiles(this.directory);
    this.#watchdog?.[Symbol.dispose]();
  }

  #must<Part>(part: Part | undefined): Part {
    if (part === undefined) throw new Error(`The cluster at ${this.server} is not ours: it can only be used.`);
    return part;
  }

  #etcd(own: OwnPrograms): Component {
    const isReady = async () => {
      const answer = await fetch(`http://127.0.0.1:${own.etcd.clientPort}/health`).catch(() => undefined);
      return answer?.ok === true;
    };
    return this.#component('etcd', own.etcd.path, etcdArguments(own), isReady);
  }

  #apiServer(own: OwnPrograms): Component {
    const isReady = async () => {
      const answer = await this.http.call('GET', '/readyz').catch(() => undefined);
      return answer?.status === 200;
    };
    return this.#component('kube-apiserver', own.apiServer.path, apiServerArguments(this.directory, own), isReady);
  }

  #component(name: string, program: string, words: readonly string[], isReady: () => Promise<boolean>): Component {
    return new Component({ name, program, arguments: words, directory: this.directory, isReady });
  }
}
