/** Where the embedded API is meant to answer otherwise than a real API server. Every other difference fails. */

export interface Exception {
  /** What is so here, on a cluster, and why: a row of the table in docs/embedded-api.md. */
  readonly here: string;
  readonly onCluster: string;
  readonly reason: string;
  /** The cases that show it, each with every place in it that differs. A place that does not differ any more fails. */
  readonly shownBy: Readonly<Record<string, readonly string[]>>;
}

const messages = (...steps: readonly number[]) => steps.map((step) => `${step}.body.message`);

export const EXCEPTIONS: readonly Exception[] = [
  {
    here: 'A namespace begins with the first object in it, and ends at once with its objects',
    onCluster: 'a creation in a missing namespace is 404; a controller empties it',
    reason: 'locks begin with their first acquire here, in whatever namespace it names',
    shownBy: { 'a creation in a namespace that is not there': ['1.code', '2.code'] },
  },
  {
    here: '`apply --server-side` merges what you send and removes nothing that you no longer send; there are no `managedFields` and no conflicts between managers, and an unknown field is a warning',
    onCluster: 'ownership of fields by manager; an unknown field is 500',
    reason: 'what the ordinary `apply` removes, it knows from its annotation; use that',
    shownBy: {
      'apply removes what it no longer says': ['2.body'],
      'a field of another manager is a conflict unless forced': ['2.code'],
      'who manages which field is kept': ['1.body.isKept'],
      'apply of what is wrong': ['6.code', '7.code'],
    },
  },
  {
    here: 'Owner references are kept and not acted on: whatever `propagationPolicy` says, an object goes at once',
    onCluster: 'finalizers `foregroundDeletion` and `orphan`, and a garbage collector that deletes dependents',
    reason: 'none of our kinds has dependents that must go with it',
    shownBy: {
      'the propagation of a deletion': [
        '4.body.kind',
        '5.code',
        '6.body.metadata.resourceVersion',
        '7.body.kind',
        '8.code',
        '9.body.metadata.resourceVersion',
        '11.body.metadata.resourceVersion',
      ],
    },
  },
  {
    here: 'A `resourceVersion` that is no number is 409 in a PUT and 400 in a watch; a creation with one is 400; a patch to another `uid` is 409; an unknown field in a strict patch is 400',
    onCluster: '500; 500; 500; 422; 422',
    reason: 'the code that fits',
    shownBy: {
      'a version that is no number is refused': ['2.code', '4.code'],
      'a watch from a version that is no number is refused': ['1.code', '2.code'],
      'a creation with a version is refused': ['1.code'],
      'a patch to another uid is refused': ['2.code'],
      'unknown fields are told, refused or passed over': ['10.code'],
    },
  },
  {
    here: 'A POST to the name of a custom resource is 405',
    onCluster: 'taken as a POST to the collection',
    reason: 'no client relies on it',
    shownBy: { 'a method that the path does not have': ['1.code'] },
  },
  {
    here: 'A field that is named twice in one JSON body counts once, without a warning',
    onCluster: 'a warning, refused by `fieldValidation=Strict`',
    reason: 'the JSON parser does not tell; `kubectl` finds it in YAML itself',
    shownBy: { 'a field that is named twice': ['1.warnings', '2.code'] },
  },
  {
    here: 'What cannot be read (a body, a patch, a selector, a number) is refused in words of our own; code and reason are the same',
    onCluster: 'the words of decoders written in Go',
    reason: 'they name types of a program that is not here',
    shownBy: {
      'a JSON patch that does not fit is refused whole': messages(6, 7),
      'a patch of an unknown type is refused': messages(4, 5),
      'a grace period of nothing, and one that is wrong': messages(4, 5),
      'label selectors': messages(14, 15, 16),
      'pages show one state to the end': messages(12, 13),
      'lists of a version': messages(12),
      'a body that cannot be read': messages(1, 2, 3, 4, 5, 6),
      'a body without a kind, or of another one': messages(1, 5),
      'metadata of a wrong type': messages(1, 2, 3, 4, 5, 6, 7, 8),
      'Leases that are invalid': messages(5, 6),
      'YAML is read as well': messages(3),
      'apply of what is wrong': messages(4, 5),
    },
  },
  {
    here: 'A JSON patch that does not fit is refused with the operation that does not',
    onCluster: '"the server rejected our request due to an error in our request"',
    reason: 'it helps to find it',
    shownBy: { 'a JSON patch that does not fit is refused whole': messages(2, 3, 4, 5) },
  },
  {
    here: 'A conflict of uids names the two',
    onCluster: 'and a key in etcd',
    reason: 'there is no etcd',
    shownBy: {
      'another life of the same name conflicts': messages(5, 6),
      'another uid with the newest version conflicts': messages(2),
    },
  },
  {
    here: 'Answers are JSON alone, and so are bodies, besides YAML, except for that of `kubectl create namespace`',
    onCluster: 'YAML answers as well, and protobuf for built-in kinds',
    reason: 'clients fall back on JSON',
    shownBy: {
      'a form that nobody can give is refused': messages(2, 3),
      'a body that cannot be read': messages(7, 8),
    },
  },
  {
    here: '`explain` and the columns of Tables describe what every object and the built-in kinds have in short',
    onCluster: 'the whole documentation of Kubernetes',
    reason: 'our kinds are described in full on both',
    shownBy: {
      'the descriptions of columns': [
        '1.body.columnDefinitions[0].description',
        '2.body.columnDefinitions[0].description',
        '3.body.columnDefinitions',
        '4.body.columnDefinitions',
      ],
      'kubectl explain of what every object has': ['1.out', '2.out'],
    },
  },
  {
    here: 'Patterns of schemas and rules are JavaScript’s with the `u` flag, and so is what is said of one that cannot be read',
    onCluster: 'RE2',
    reason: 'the schemas are our own and mean the same in both',
    shownBy: {
      'the invalid manifest key-pattern-with-bad-count.yaml': ['1.body'],
      'the invalid manifest key-pattern-with-bad-range.yaml': ['1.body'],
    },
  },
  {
    here: 'The version is told as 1.32',
    onCluster: 'whatever it is',
    reason: '`kubectl` of 1.31 to 1.33 has nothing to complain about, and others hardly',
    shownBy: { 'the version': ['1.body.minor'] },
  },
];
