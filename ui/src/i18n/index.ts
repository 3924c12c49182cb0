// Texts in English and Chinese. A text with {n} may have a form for one and one for more.
import { signal } from '@preact/signals';
import { recall, remember } from '../storage';
import { en } from './en';
import { zh } from './zh';

export type Lang = 'en' | 'zh';
export type Key = keyof typeof en;
export type Text = string | { one: string; other: string };
export type Values = Record<string, string | number>;

export const LOCALES: Record<Lang, string> = { en: 'en', zh: 'zh-CN' };
const plurals = { en: new Intl.PluralRules('en'), zh: new Intl.PluralRules('zh-CN') };

const kept = recall('lang');
const isChinese = kept ? kept.startsWith('zh') : navigator.language.startsWith('zh');
export const lang = signal<Lang>(isChinese ? 'zh' : 'en');

export function setLang(next: Lang): void {
    lang.value = next;
    remember('lang', LOCALES[next]);
    document.documentElement.lang = LOCALES[next];
}

function form(text: Text, n: string | number | undefined): string {
    if (typeof text === 'string') {
        return text;
    }
    const count = typeof n === 'number' ? n : Number.NaN;
    return plurals[lang.value].select(count) === 'one' ? text.one : text.other;
}

// A number given as a number chooses the form and is shown grouped.
export function t(key: Key, values: Values = {}): string {
    const texts: Record<Key, Text> = lang.value === 'zh' ? zh : en;
    return form(texts[key], values.n).replace(/\{(\w+)\}/g, (whole, name: string) => {
        const value = values[name];
        if (value === undefined) {
            return whole;
        }
        return typeof value === 'number' ? value.toLocaleString(LOCALES[lang.value]) : value;
    });
}

// The text of a key that is put together; other where there is none.
export function maybe(key: string, other: string, values: Values = {}): string {
    return key in en ? t(key as Key, values) : other;
}
