import type { z } from 'zod';
import { distributedLockSchema } from './distributed-lock.ts';
import { lockPoolSchema } from './lock-pool.ts';
import { GROUP, VERSION } from './resource.ts';
import { type StructuralSchema, structuralSchemaOf } from './structural-schema.ts';

/** `CustomResourceDefinition` of apiextensions.k8s.io/v1, as far as ours go. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly group: string;
    readonly scope: 'Namespaced';
    readonly names: DefinitionNames;
    readonly versions: readonly [DefinitionVersion];
  };
}

export interface DefinitionNames {
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
}

export interface DefinitionVersion {
  readonly name: string;
  readonly served: true;
  readonly storage: true;
  readonly schema: { readonly openAPIV3Schema: StructuralSchema };
  readonly subresources: { readonly status: Readonly<Record<string, never>> };
  readonly selectableFields: readonly { readonly jsonPath: string }[];
  readonly additionalPrinterColumns: readonly PrinterColumn[];
}

export interface PrinterColumn {
  /** One word; kubectl prints it in capitals. */
  readonly name: string;
  /** `date` is shown as the time since. */
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: only with `-o wide`. Absent otherwise: a 0 is dropped by the API server, and the file would differ from it for ever. */
  readonly priority?: 1;
}

/** What the group adds to a cluster: DistributedLock and LockPool. Made anew by each call; the YAML in `crds/` is this. */
export function customResourceDefinitions(): CustomResourceDefinition[] {
  return [
    definitionOf({
      names: {
        kind: 'DistributedLock',
        listKind: 'DistributedLockList',
        plural: 'distributedlocks',
        singular: 'distributedlock',
        shortNames: ['lock', 'locks'],
        categories: ['lockkeeper'],
      },
      schema: distributedLockSchema,
      selectable: ['.spec.fairness', '.spec.expiryPolicy', '.status.holder', '.status.mode', '.status.shard'],
      columns: [
        column('Holder', 'string', '.status.holder', 'Who holds the lock; empty while it is free.'),
        column('Token', 'string', '.status.fencingToken', 'The largest fencing token granted so far.'),
        column('Waiters', 'integer', '.status.waiters', 'How many acquires wait.'),
        column('Held-Since', 'date', '.status.heldSince', 'Time since the oldest hold was granted.'),
        wideColumn('Mode', 'string', '.status.mode', 'Mode of the holds: exclusive or shared.'),
        wideColumn('Lease', 'integer', '.spec.leaseDurationSeconds', 'Default time to live of a hold, in seconds.'),
        wideColumn('Shard', 'integer', '.status.shard', 'The shard that the lock lies in.'),
        READY,
        AGE,
      ],
    }),
    definitionOf({
      names: {
        kind: 'LockPool',
        listKind: 'LockPoolList',
        plural: 'lockpools',
        singular: 'lockpool',
        shortNames: ['lpool', 'lpools'],
        categories: ['lockkeeper'],
      },
      schema: lockPoolSchema,
      selectable: ['.spec.fairness', '.spec.expiryPolicy'],
      columns: [
        column('Holds', 'integer', '.status.holds', 'How many holds there are over all keys.'),
        column('Waiters', 'integer', '.status.waiters', 'How many acquires wait, over all keys.'),
        column('Grants', 'integer', '.status.grants', 'How many grants the present owners of the shards have made.'),
        wideColumn('Lease', 'integer', '.spec.leaseDurationSeconds', 'Default time to live of a hold, in seconds.'),
        wideColumn('Max-Lease', 'integer', '.spec.maxLeaseDurationSeconds', 'Longest time to live, in seconds.'),
        READY,
        AGE,
      ],
    }),
  ];
}

const READY = wideColumn(
  'Ready',
  'string',
  '.status.conditions[?(@.type=="Ready")].status',
  'Whether acquires are served.',
);
const AGE = column('Age', 'date', '.metadata.creationTimestamp', 'Time since the object was created.');

function definitionOf(kind: {
  readonly names: DefinitionNames;
  readonly schema: z.ZodType;
  readonly selectable: readonly string[];
  readonly columns: readonly PrinterColumn[];
}): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${kind.names.plural}.${GROUP}`,
      labels: { 'app.kubernetes.io/name': 'lockkeeper', 'app.kubernetes.io/component': 'crds' },
    },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: kind.names,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: structuralSchemaOf(kind.schema) },
          subresources: { status: {} },
          selectableFields: kind.selectable.map((jsonPath) => ({ jsonPath })),
          additionalPrinterColumns: kind.columns,
        },
      ],
    },
  };
}

type ColumnArguments = readonly [name: string, type: PrinterColumn['type'], jsonPath: string, description: string];

function column(...[name, type, jsonPath, description]: ColumnArguments): PrinterColumn {
  return { name, type, jsonPath, description };
}

function wideColumn(...given: ColumnArguments): PrinterColumn {
  return { ...column(...given), priority: 1 };
}
