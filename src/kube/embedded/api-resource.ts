import type { KubeObject, ResourceType, StoredObject } from '../kube-object.ts';
import type { Cause } from './api-error.ts';
import type { Schema } from './schema.ts';
import type { FieldValues } from './selectors.ts';

/** A column of `kubectl get`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string | undefined;
  readonly description: string;
  /** 0 is always shown, above it only with `-o wide`. */
  readonly priority: number;
  /** The cell is a moment, in RFC 3339, and shown as the time since then; so is every date. */
  readonly isAge?: boolean | undefined;
  /** `undefined` is shown as nothing. */
  readonly cellOf: (object: StoredObject) => unknown;
}

/** One kind that the embedded API serves, and all that is special about it. */
export interface ApiResource {
  readonly type: ResourceType;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** The whole object; `metadata` in it is an object without more. */
  readonly schema: Schema;
  /** A built-in kind takes strategic merge patches. */
  readonly builtIn: boolean;
  /** The status is written by itself and never with the rest. */
  readonly hasStatus: boolean;
  /** A change of the rest counts in `metadata.generation`. */
  readonly hasGeneration: boolean;
  /** An update may leave out the version that it replaces. */
  readonly unconditionalUpdate: boolean;
  readonly columns: readonly Column[];
  /** What a field selector may name, besides `metadata.name` and `metadata.namespace`. */
  readonly selectableFields: readonly string[];
  readonly fieldValues: (object: StoredObject) => FieldValues;
  readonly nameProblems: (name: string) => readonly string[];
  /** A PUT of a name that is not there creates it. */
  readonly createdByPut: boolean;
  /** What the schema cannot say. */
  readonly moreCauses: (object: KubeObject) => readonly Cause[];
}

export const NAME_COLUMN: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
  cellOf: ({ metadata }) => metadata.name,
};

export const AGE_COLUMN: Column = {
  name: 'Age',
  type: 'date',
  description: 'The time since the object was created.',
  priority: 0,
  cellOf: ({ metadata }) => metadata.creationTimestamp,
};
