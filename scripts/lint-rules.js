/**
 * The rules of `npm run lint` that are about this project alone, as a plugin of oxlint (`.oxlintrc.json`), in the form of ESLint's.
 */

/** Calls of Prisma's models and its raw SQL, which only `*.repository.ts` may make: the others call a repository. */
const onlyRepositoriesQuery = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const report = (node) =>
      context.report({ node, message: 'Only repositories query the database: move this to a *.repository.ts.' });
    return {
      CallExpression(node) {
        const { callee } = node;
        if (callee.type !== 'MemberExpression' || callee.object.type !== 'MemberExpression') return;
        const isDatabase = /^(db|tx|database)$/.test(callee.object.object.name);
        if (isDatabase && /^(find|create|update|upsert|delete|aggregate|groupBy|count)/.test(callee.property.name))
          report(node);
      },
      MemberExpression(node) {
        if (/^\$(queryRaw|executeRaw)/.test(node.property.name)) report(node);
      },
    };
  },
};

export default {
  meta: { name: 'readapt' },
  rules: { 'only-repositories-query': onlyRepositoriesQuery },
};
