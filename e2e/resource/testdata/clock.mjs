// Loaded before a program: its clock is that of the house under test, which runs ahead of the machine's.
import { readFileSync } from 'node:fs';

const machine = Date.now;
Date.now = () => machine() + Number(readFileSync(process.env.CLOCK_OFFSET, 'utf8'));
