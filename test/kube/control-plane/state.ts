/** What is written beside a running control plane, so that another process can find, use and end it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ControlPlaneState {
  /** Of the API server, for example `v1.36.3`. */
  readonly version: string;
  /** Of a user who may do everything. */
  readonly kubeconfigPath: string;
  /** Path of the program. */
  readonly kubectl: string;
  /** What we run ourselves; undefined for a cluster that was there before. */
  readonly own?: OwnPrograms;
}

export interface OwnPrograms {
  readonly etcd: {
    readonly path: string;
    readonly version: string;
    readonly clientPort: number;
    readonly peerPort: number;
  };
  readonly apiServer: { readonly path: string; readonly port: number };
  /** In memory where the machine has a file system for that; elsewhere a folder of the control plane's own. */
  readonly dataDirectory: string;
}

export function writeState(directory: string, state: ControlPlaneState): void {
  writeFileSync(join(directory, 'state.json'), `${JSON.stringify(state, null, 2)}\n`);
}

/** Undefined if no control plane was left in this folder. */
export function readState(directory: string): ControlPlaneState | undefined {
  const path = join(directory, 'state.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ControlPlaneState) : undefined;
}
