/** What is asked of both APIs: data, so that neither side can be asked anything else. */

/** One request, and what the real API server is known to answer. */
export interface Request {
  readonly do: 'request';
  readonly method: string;
  /**
   * Absolute, or from the case's own namespace: `locks/a`, `pools`, `leases/a`, `events`. `$NAMESPACE` stands for that namespace,
   * `{{step.path.to.value}}` for a value of the answer to an earlier step that has a name.
   */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is a text. Placeholders as in the path. */
  readonly body: unknown;
  /** The status code of the real API server. */
  readonly code: number;
  /** `reason` of its Status. */
  readonly reason: string | undefined;
  /** `[reason, field]` of the causes it lists, in any order. */
  readonly causes: readonly (readonly [reason: string, field: string])[] | undefined;
  /** All that it finds wrong, `field: message` each, but for the remark that rules were not looked at; or the end of its message. */
  readonly tells: readonly string[] | undefined;
  /** A field that one of its causes is about. */
  readonly refuses: string | undefined;
  /** Part of its answer. Placeholders as in the path. */
  readonly says: object | undefined;
  /** The part of the body that is compared; the whole if absent. */
  readonly pick: ((body: unknown) => unknown) | undefined;
  /** Later steps refer to the answer by it. */
  readonly as: string | undefined;
}

/** Opens a watch and lets it run. */
export interface OpenWatch {
  readonly do: 'watch';
  readonly as: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads the next events of a watch. `type name` each, as the real API server tells them; `end` for the end of the stream. */
export interface ReadEvents {
  readonly do: 'events';
  readonly of: string;
  readonly expect: readonly string[];
}

/** Runs `kubectl` to its end, with the case's namespace as its own. */
export interface Kubectl {
  readonly do: 'kubectl';
  readonly words: readonly string[];
  readonly input: string;
  /** The real API server's answer has this in it: standard output of a success, standard error of a failure. */
  readonly says: RegExp;
  readonly fails: boolean;
}

/** Starts `kubectl` and lets it run. */
export interface StartKubectl {
  readonly do: 'start';
  readonly as: string;
  readonly words: readonly string[];
}

/** Waits until what a started `kubectl` has written matches; with `ends`, until it ends by itself as well. */
export interface AwaitKubectl {
  readonly do: 'said';
  readonly of: string;
  readonly says: RegExp;
  readonly ends: boolean;
}

export type Step = Request | OpenWatch | ReadEvents | Kubectl | StartKubectl | AwaitKubectl;

export interface ContractCase {
  readonly name: string;
  readonly steps: readonly Step[];
  /** The descriptions of columns are compared as well. */
  readonly withDescriptions?: boolean;
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly code?: number;
  readonly reason?: string;
  readonly causes?: Request['causes'];
  readonly tells?: readonly string[];
  readonly refuses?: string;
  readonly says?: object;
  readonly pick?: (body: unknown) => unknown;
  readonly as?: string;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export function request(method: string, path: string, body: unknown, options: RequestOptions = {}): Request {
  const { headers = {}, code = 200, reason, causes, tells, refuses, says, pick, as } = options;
  return { do: 'request', method, path, headers, body, code, reason, causes, tells, refuses, says, pick, as };
}

export const get = (path: string, options?: RequestOptions) => request('GET', path, undefined, options);
export const post = (path: string, body: unknown, options: RequestOptions = {}) =>
  request('POST', path, body, { code: 201, headers: JSON_TYPE, ...options });
export const put = (path: string, body: unknown, options: RequestOptions = {}) =>
  request('PUT', path, body, { headers: JSON_TYPE, ...options });
export const patch = (how: keyof typeof PATCH_TYPES, path: string, body: unknown, options: RequestOptions = {}) =>
  request('PATCH', path, body, { headers: { 'content-type': PATCH_TYPES[how] }, ...options });
export const remove = (path: string, body?: unknown, options: RequestOptions = {}) =>
  request('DELETE', path, body, { headers: body === undefined ? {} : JSON_TYPE, ...options });

export const watch = (as: string, path: string, headers: Readonly<Record<string, string>> = {}): OpenWatch => ({
  do: 'watch',
  as,
  path,
  headers,
});
export const events = (of: string, ...expect: readonly string[]): ReadEvents => ({ do: 'events', of, expect });

/** `line` is cut at spaces. */
export const kubectl = (line: string, says: RegExp, input = ''): Kubectl => ({
  do: 'kubectl',
  words: line.split(' '),
  says,
  input,
  fails: false,
});
export const kubectlFails = (line: string, says: RegExp, input = ''): Kubectl => ({
  ...kubectl(line, says, input),
  fails: true,
});
export const start = (as: string, line: string): StartKubectl => ({ do: 'start', as, words: line.split(' ') });
export const said = (of: string, says: RegExp, ends = false): AwaitKubectl => ({ do: 'said', of, says, ends });

/** A DistributedLock to be sent. */
export const lock = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'lockkeeper.dev/v1alpha1',
  kind: 'DistributedLock',
  metadata: { name, ...metadata },
  spec,
});
export const pool = (name: string, spec: object = {}) => ({ ...lock(name, spec), kind: 'LockPool' });
export const lease = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name, ...metadata },
  spec,
});
