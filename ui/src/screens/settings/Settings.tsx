// What is about the console and the gateway as a whole.
import { ApiKey } from './ApiKey';
import { Appearance } from './Appearance';
import { Gateway } from './Gateway';
import { Plugins } from './Plugins';
import { Sessions } from './Sessions';

export function Settings() {
    return (
        <>
            <Appearance />
            <Sessions />
            <ApiKey />
            <Gateway />
            <Plugins />
        </>
    );
}
