/** The house rules as functions of one file's text: what `house.test.ts` applies to every file. */
import ts from 'typescript';

/** A file of the repository: its path from the root with forward slashes, and its text. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

const fileLinesMax = 500;
const mainLinesMax = 60;

/** Dotted names that reach time, chance or the process, and what in `src/system` to use instead. */
const doors: readonly (readonly [name: RegExp, replacement: string])[] = [
  [/^(Date\.now|Date|new Date)$/, 'Clock.wallMs in src/system/clock.ts'],
  [/^performance(\.\w+)?$|^process\.(hrtime|uptime)$/, 'Clock.monotonicMs in src/system/clock.ts'],
  [/^(setTimeout|setInterval)$|^AbortSignal\.timeout$/, 'Timers.after or sleep in src/system/timers.ts'],
  [/^setImmediate$/, 'Timers.soon in src/system/timers.ts'],
  [/^Math\.random$|^(web)?crypto\.(random\w*|getRandomValues|webcrypto)$/, 'Random in src/system/random.ts'],
  [/^process\.(env|argv)$/, 'readEnvironment in src/system/environment.ts'],
  [/^process\.(exit|exitCode|abort|reallyExit)$/, 'exitWhenIdle or exitNow in src/system/exit.ts'],
  [/^process\.(on|once|addListener|prependListener)$/, 'onStop in src/system/signals.ts'],
];

/** Modules that lead to the same places; `names` are the exports that do, undefined for all of them. */
const sideDoors: readonly { readonly module: RegExp; readonly names?: RegExp; readonly replacement: string }[] = [
  { module: /^(node:)?timers(\/promises)?$/, replacement: 'Timers in src/system/timers.ts' },
  { module: /^(node:)?process$/, replacement: 'environment.ts, exit.ts and signals.ts in src/system' },
  { module: /^(node:)?perf_hooks$/, names: /^performance$/, replacement: 'Clock.monotonicMs in src/system/clock.ts' },
  {
    module: /^(node:)?crypto$/,
    names: /^(random\w*|getRandomValues)$/,
    replacement: 'Random in src/system/random.ts',
  },
];

/** Where a file outside `src/system` touches the world directly: `path:line: name: use replacement`. */
export function directTouches(source: SourceText): string[] {
  if (source.path.startsWith('src/system/')) return [];
  const file = parsed(source);
  const found: string[] = [];
  const report = (node: ts.Node, name: string, replacement: string) =>
    found.push(`${position(file, source, node)}: ${name}: use ${replacement}`);

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) reportImport(node, report);
    const name = touchedName(node);
    const door = name === undefined ? undefined : doors.find(([pattern]) => pattern.test(name));
    if (name !== undefined && door) report(node, name, door[1]);
    if (!ts.isTypeNode(node)) ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** `export default` in any of its forms: `path:line: default export`. */
export function defaultExports(source: SourceText): string[] {
  const file = parsed(source);
  return file.statements
    .filter((statement) => {
      if (ts.isExportAssignment(statement)) return true;
      if (ts.isExportDeclaration(statement)) {
        const names = statement.exportClause && ts.isNamedExports(statement.exportClause) && statement.exportClause;
        return names && names.elements.some((element) => element.name.text === 'default');
      }
      const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
      return modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword);
    })
    .map((statement) => `${position(file, source, statement)}: default export: name it`);
}

/** Files that are too long, `main.ts` files above all: `path: lines`. */
export function overlongFiles(source: SourceText): string[] {
  const lines = source.text.replace(/\n$/, '').split('\n').length;
  const isMain = /^src\/[^/]+\/main\.ts$/.test(source.path);
  if (isMain && lines >= mainLinesMax) {
    return [`${source.path}: ${lines} lines, under ${mainLinesMax} in a main.ts: move the wiring into its own file`];
  }
  return lines > fileLinesMax ? [`${source.path}: ${lines} lines, at most ${fileLinesMax}: split it by noun`] : [];
}

type Report = (node: ts.Node, name: string, replacement: string) => void;

function reportImport(node: ts.ImportDeclaration, report: Report): void {
  const module = ts.isStringLiteral(node.moduleSpecifier) ? node.moduleSpecifier.text : '';
  const sideDoor = sideDoors.find((each) => each.module.test(module));
  if (!sideDoor || node.importClause?.isTypeOnly) return;
  const { names } = sideDoor;
  if (!names) return report(node, `import of ${module}`, sideDoor.replacement);
  const bindings = node.importClause?.namedBindings;
  if (!bindings || !ts.isNamedImports(bindings)) return;
  for (const element of bindings.elements) {
    const imported = (element.propertyName ?? element.name).text;
    if (!element.isTypeOnly && names.test(imported)) report(element, imported, sideDoor.replacement);
  }
}

/**
 * The name by which an expression may touch the world: `a.b` for a property (also when reached through `globalThis`),
 * the name alone for a call or a mention of a global, `new Date` for one without arguments.
 */
function touchedName(node: ts.Node): string | undefined {
  if (ts.isNewExpression(node) || ts.isCallExpression(node)) {
    if (!ts.isIdentifier(node.expression) || node.expression.text !== 'Date') return undefined;
    if (ts.isCallExpression(node)) return 'Date';
    return (node.arguments ?? []).length === 0 ? 'new Date' : undefined;
  }
  if (ts.isPropertyAccessExpression(node)) return propertyName(node.expression, node.name.text);
  if (ts.isElementAccessExpression(node) && ts.isStringLiteral(node.argumentExpression)) {
    return propertyName(node.expression, node.argumentExpression.text);
  }
  if (ts.isIdentifier(node) && node.text !== 'Date' && isMention(node)) return node.text;
  return undefined;
}

function propertyName(target: ts.Expression, property: string): string | undefined {
  if (ts.isIdentifier(target)) return target.text === 'globalThis' ? property : `${target.text}.${property}`;
  if (ts.isPropertyAccessExpression(target) && target.expression.getText() === 'globalThis') {
    return `${target.name.text}.${property}`;
  }
  return undefined;
}

/** Whether an identifier stands for a value, not for the name of a property, a parameter or a declaration. */
function isMention(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return false;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  return !('name' in parent && parent.name === node) && !ts.isImportSpecifier(parent);
}

function parsed({ path, text }: SourceText): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
}

function position(file: ts.SourceFile, { path }: SourceText, node: ts.Node): string {
  return `${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
