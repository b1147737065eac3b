import type { StoredObject } from '../../kube-object.ts';
import type { ApiResource, Column } from '../api-resource.ts';
import { ageOf } from './age.ts';

/** How much of the object each row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  readonly includeObject: IncludeObject;
  readonly nowMs: number;
  /** Of the list, or of the bookmark that the table stands for. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** A watch tells the columns once. */
  readonly withColumns: boolean;
}

/** Objects as a Table of meta.k8s.io/v1, which is what `kubectl get` prints. */
export function tableOf(resource: ApiResource, objects: readonly StoredObject[], options: TableOptions): unknown {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata,
    columnDefinitions: options.withColumns ? resource.columns.map(definitionOf) : [],
    rows: objects.map((object) => ({
      cells: resource.columns.map((column) => cellOf(column, object, options.nowMs)),
      ...objectOfRow(object, options.includeObject),
    })),
  };
}

function definitionOf({ name, type, format = '', description, priority }: Column): unknown {
  return { name, type, format, description, priority };
}

function cellOf(column: Column, object: StoredObject, nowMs: number): unknown {
  const value = column.cellOf(object);
  if (value === undefined || value === null) return column.name === 'Age' ? '<unknown>' : null;
  if (column.type === 'date' || column.isAge === true) return ageOf(value, nowMs);
  return value;
}

function objectOfRow(object: StoredObject, include: IncludeObject): object {
  if (include === 'None') return { object: null };
  if (include === 'Object') return { object };
  return { object: partialOf(object) };
}

/** The metadata alone. */
export function partialOf({ metadata }: StoredObject): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}
