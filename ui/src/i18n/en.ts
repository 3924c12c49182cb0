// English. A folder has a file for each large screen; zh.ts has the same keys.
import { base } from './en/base';
import { playground } from './en/playground';
import { scripts } from './en/scripts';
import { tries } from './en/tries';
import type { Text } from './index';

const texts = { ...base, ...scripts, ...playground, ...tries };

export const en: { [key in keyof typeof texts]: Text } = texts;
