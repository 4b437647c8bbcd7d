# What the lab's tracker holds on its first day: read by seed.pl through RT's own importer.
use strict;
use warnings;

our @Users = (
    { Name => 'remediate', RealName => 'remediate service account', EmailAddress => 'remediate@lab.example', Privileged => 1 },
    { Name => 'alice', RealName => 'Alice (engineer)',             EmailAddress => 'alice@lab.example', Privileged => 1 },
    { Name => 'carol', RealName => 'Carol (change manager)',       EmailAddress => 'carol@lab.example', Privileged => 1 },
    { Name => 'dan',   RealName => 'Dan (deputy change manager)',  EmailAddress => 'dan@lab.example',   Privileged => 1 },
    { Name => 'customer', RealName => 'Customer', EmailAddress => 'customer@customer.example', Privileged => 0 },
);

our @Groups = (
    { Name => 'Engineers',       Members => { Users => [ 'alice', 'remediate' ] } },
    { Name => 'Change managers', Members => { Users => [ 'carol', 'dan' ] } },
);

our @Queues = (
    {   Name        => 'Changes',
        Description => 'Change requests',
        Lifecycle   => 'changes',
        SLADisabled => 0,
    },
);

our @CustomFields = (
    {   Name   => 'Risk',
        Type   => 'SelectSingle',
        Queue  => 'Changes',
        Values => [ map { { Name => $_ } } qw(low medium high) ],
    },
    { Name => 'Window',          Type => 'FreeformSingle', Queue => 'Changes', Description => 'START/END, ISO 8601 with offset' },
    { Name => 'Plan digest',     Type => 'FreeformSingle', Queue => 'Changes', Pattern => '^(?:sha256:[0-9a-f]{64})?$' },
    { Name => 'Customer impact', Type => 'Text',           Queue => 'Changes' },
);

# The manager who answers must be neither the creator nor a requestor: the first who is left owns the
# approval, and only an owner may modify one (see @ACL). Both excluded: the approval has no owner, and nobody
# can answer it. The approval's own requestor is the colleague who filed the change, so that a customer gets
# no mail about our inner workings.
our @Templates = (
    {   Queue   => 'Changes',
        Name    => 'Create approval',
        Type    => 'Perl',
        Content => <<'TEMPLATE',
===Create-Ticket: approval
Queue: ___Approvals
Type: approval
Subject: Approval of change {$Tickets{TOP}->Id}: {$Tickets{TOP}->Subject}
Depended-On-By: TOP
Refers-To: TOP
Requestors: {$Tickets{TOP}->CreatorObj->EmailAddress}
Owner: {
    my $managers = RT::Group->new(RT->SystemUser);
    $managers->LoadUserDefinedGroup('Change managers');
    my $members = $managers->UserMembersObj;
    $members->OrderBy(FIELD => 'Name', ORDER => 'ASC');
    my $change = $Tickets{TOP};
    my $choice = 'Nobody';
    while (my $user = $members->Next) {
        next if $user->id == $change->Creator || $change->Requestors->HasMember($user->PrincipalObj);
        $choice = $user->Name;
        last;
    }
    $choice;
}
Content-Type: text/plain
Content: Please read the change request and approve or reject it.
ENDOFCONTENT
TEMPLATE
    },
);

our @Scrips = (
    {   Description    => 'Ask a change manager to approve a new change',
        Queue          => 'Changes',
        ScripCondition => 'On Create',
        ScripAction    => 'Create Tickets',
        Template       => 'Create approval',
    },
);

my @work = qw(SeeQueue ShowTicket ShowTicketComments CreateTicket ModifyTicket CommentOnTicket ReplyToTicket
    OwnTicket TakeTicket SeeCustomField ModifyCustomField);
my @review = qw(SeeQueue ShowTicket ShowTicketComments CreateTicket CommentOnTicket ReplyToTicket SeeCustomField);

our @ACL = (
    { Queue => 'Changes', GroupDomain => 'UserDefined', GroupId => 'Engineers',       Right => \@work },
    { Queue => 'Changes', GroupDomain => 'UserDefined', GroupId => 'Change managers', Right => \@review },
    { Queue => 'Changes', GroupDomain => 'RT::Queue-Role', GroupType => 'Requestor', Right => [qw(SeeQueue ShowTicket ReplyToTicket)] },

    # Everybody at work sees an approval; nobody but its owner answers it.
    { Queue => '___Approvals', GroupDomain => 'UserDefined', GroupId => 'Engineers', Right => [qw(SeeQueue ShowTicket)] },
    {   Queue       => '___Approvals',
        GroupDomain => 'UserDefined',
        GroupId     => 'Change managers',
        Right       => [qw(SeeQueue ShowTicket ShowTicketComments OwnTicket)]
    },
    {   Queue       => '___Approvals',
        GroupDomain => 'RT::Queue-Role',
        GroupType   => 'Owner',
        Right       => [qw(ModifyTicket ReplyToTicket CommentOnTicket)]
    },
);

1;
