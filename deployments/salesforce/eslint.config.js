const lwc = require('@salesforce/eslint-config-lwc/recommended');
const jest = require('eslint-plugin-jest');

module.exports = [
    ...lwc.map((config) => ({ ...config, files: ['**/lwc/**/*.js'] })),
    {
        ...jest.configs['flat/recommended'],
        files: ['**/__tests__/*.js'],
        rules: {
            ...jest.configs['flat/recommended'].rules,
            '@lwc/lwc/no-unexpected-wire-adapter-usages': 'off' // tests emit through the adapter
        }
    }
];
