import type { Line } from '../language/line.ts';
import type { World } from '../language/world.ts';

/** Carries out one command of the language: takes its words and pairs from the line, returns the lines to print below it. */
export type Handler = (world: World, line: Line) => string[];

/** Handlers by the first word of the command. */
export type Handlers = Readonly<Record<string, Handler>>;
