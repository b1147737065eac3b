import type { Clock } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import type { KubeObject, StoredObject } from '../kube-object.ts';
import type { CallOptions } from '../lease-store.ts';
import type { ObjectJournal } from './object-log.ts';
import type { OnUnknownFields } from './object-rules.ts';

export interface EmbeddedStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** CustomResourceDefinitions of apiextensions.k8s.io/v1, parsed. */
  readonly customResourceDefinitions: readonly unknown[];
  /** What an earlier process kept; `resourceVersion` is the highest version in it. Kinds that are not served are left out. */
  readonly initial?: { readonly objects: readonly KubeObject[]; readonly resourceVersion: string } | undefined;
  /** Without one, everything ends with the process. */
  readonly journal?: ObjectJournal | undefined;
  /** How many of the last changes of one kind a watch can resume over. Default 4,096. */
  readonly historyEventsMax?: number | undefined;
  /** Events kept at a time; the oldest goes first. Default 5,000. */
  readonly eventsMax?: number | undefined;
  /** How long an Event is kept after it was written last. Default one hour. */
  readonly eventTtlMs?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Everything is checked and answered, nothing is stored. */
  readonly dryRun?: boolean | undefined;
  /** Writes the status and nothing else; without it, everything but the status. */
  readonly subresource?: 'status' | undefined;
  readonly onUnknownFields?: OnUnknownFields | undefined;
  /** For a creation: the namespace of an object that names none. */
  readonly namespace?: string | undefined;
}

export interface DeleteOptions extends CallOptions {
  readonly dryRun?: boolean | undefined;
  /** Only this life of the name, only this version of it. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

/** `gone`: it is not there any more; otherwise finalizers keep it. */
export interface Deletion {
  readonly object: StoredObject;
  readonly gone: boolean;
}
